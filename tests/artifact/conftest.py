from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import tiny_model, tiny_processor
from torch import nn
from torch.nn.utils import parametrize
from transformers import PreTrainedModel, ProcessorMixin

from sottovoce.artifact.packed_layers import PackedLayer, empty_packed
from sottovoce.models.families import family_of
from sottovoce.quantization.plan import Plan, Precision
from sottovoce.quantization.ranges import initial_affine

MATRICES = (
    "attention.q_proj",
    "attention.k_proj",
    "attention.v_proj",
    "attention.out_proj",
    "feed_forward.intermediate_dense",
    "feed_forward.output_dense",
)
MIXTURE = (
    Precision(2, "symmetric", "channel"),
    Precision(4, "full", "tensor"),
    Precision(8, "half", "channel"),
    Precision(3, "half", "tensor"),
    Precision(6, "symmetric", "tensor"),
    Precision(2, "asymmetric", "block", 8),
    Precision(1, "half", "block", 6, 16),
    Precision(3, "asymmetric", "channel", scale_bits=16),
)


@pytest.fixture
def processor(tmp_path: Path) -> ProcessorMixin:
    return tiny_processor(tmp_path)


def _mixed_plan(model: PreTrainedModel, *, cnns: bool) -> Plan:
    """The six matrices of each encoder layer, every one with the next precision of `MIXTURE`, and
    with `cnns` all other linear layers and convolutions too."""
    others = family_of(model.config.model_type).cnns(model) if cnns else {}
    names = [n for n, _ in model.named_modules() if n.endswith(MATRICES) or n in others]
    return Plan({name: MIXTURE[i % len(MIXTURE)] for i, name in enumerate(names)})


@pytest.fixture
def packed_tiny() -> Callable[..., tuple[PreTrainedModel, dict[str, PackedLayer], Plan]]:
    """A model whose planned layers hold the values of their grids, and those layers packed."""

    def build(
        family: str, *, cnns: bool = False
    ) -> tuple[PreTrainedModel, dict[str, PackedLayer], Plan]:
        # rows of these widths end within a byte
        model = tiny_model(family, hidden_size=20, intermediate_size=30)
        plan = _mixed_plan(model, cnns=cnns)
        packed = {}
        for name, precision in plan.items():
            layer = model.get_submodule(name)
            assert isinstance(layer, nn.Linear | nn.Conv1d)
            if parametrize.is_parametrized(layer, "weight"):  # a weight norm
                parametrize.remove_parametrizations(layer, "weight")
            quantizer, weight = precision.quantizer, layer.weight.detach().flatten(1)
            affine = initial_affine(weight, quantizer, "max")
            stored = empty_packed(layer, precision)
            packed[name] = stored.store(layer.weight, affine, layer.bias)
            rounded = quantizer.rounded(weight, affine)
            layer.weight.data = rounded.view_as(layer.weight)
            # PyTorch chooses between two matrix products by weight.requires_grad, even in no_grad,
            # where the input is strided as WavLM's is: their last bits differ.
            layer.weight.requires_grad_(False)
        return model, packed, plan

    return build
