import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from transformers import (
    HubertConfig,
    HubertForCTC,
    PreTrainedModel,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
    WavLMConfig,
    WavLMForCTC,
)

from sottovoce.artifact.packed_layers import PackedLayer, empty_packed
from sottovoce.models.families import family_of
from sottovoce.plan import Plan, Precision
from sottovoce.quantizers.ranges import initial_affine

FAMILIES = {
    "wav2vec2": (Wav2Vec2ForCTC, Wav2Vec2Config),
    "hubert": (HubertForCTC, HubertConfig),
    "wavlm": (WavLMForCTC, WavLMConfig),
}
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
def tiny_model() -> Callable[[str], PreTrainedModel]:
    def build(family: str) -> PreTrainedModel:
        model_class, config_class = FAMILIES[family]
        torch.manual_seed(0)
        return model_class(
            config_class(
                vocab_size=8,
                hidden_size=20,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=30,
                conv_dim=(8, 8),
                conv_kernel=(10, 3),
                conv_stride=(5, 2),
                num_feat_extract_layers=2,
                num_conv_pos_embeddings=8,
                num_conv_pos_embedding_groups=2,
            )
        ).eval()

    return build


@pytest.fixture
def processor(tmp_path: Path) -> Wav2Vec2Processor:
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", "a", "b", "c"]
    vocabulary = tmp_path / "vocabulary" / "vocab.json"
    vocabulary.parent.mkdir()
    vocabulary.write_text(json.dumps({letter: index for index, letter in enumerate(letters)}))
    return Wav2Vec2Processor(
        feature_extractor=Wav2Vec2FeatureExtractor(), tokenizer=Wav2Vec2CTCTokenizer(vocabulary)
    )


def _mixed_plan(model: PreTrainedModel, *, cnns: bool) -> Plan:
    """The six matrices of each encoder layer, every one with the next precision of `MIXTURE`, and
    with `cnns` all other linear layers and convolutions too."""
    others = family_of(model.config.model_type).cnns(model) if cnns else {}
    names = [n for n, _ in model.named_modules() if n.endswith(MATRICES) or n in others]
    return Plan({name: MIXTURE[i % len(MIXTURE)] for i, name in enumerate(names)})


@pytest.fixture
def packed_tiny(
    tiny_model: Callable[[str], PreTrainedModel],
) -> Callable[..., tuple[PreTrainedModel, dict[str, PackedLayer], Plan]]:
    """A model whose planned layers hold the values of their grids, and those layers packed."""

    def build(
        family: str, *, cnns: bool = False
    ) -> tuple[PreTrainedModel, dict[str, PackedLayer], Plan]:
        model = tiny_model(family)
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
