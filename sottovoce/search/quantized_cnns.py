"""xu2025's 8-bit "CNNs": what is not an encoder matrix, quantized at one width from the first
update.

Convolutional front end, feature projection, positional convolution, head and embeddings have no
choice of width. They are the same in every network of an update, the full-precision one included.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sottovoce.artifact.tied_projection import part_embedding, share_embedding, tied_names
from sottovoce.errors import prefix_errors
from sottovoce.models.recogniser import Recogniser
from sottovoce.models.weight_norm import fold_weight_norm
from sottovoce.quantization.affine import Affine
from sottovoce.quantization.fake_quantize import fake_quantize
from sottovoce.quantization.learned_scales import SCALES, TrainingAffine
from sottovoce.quantization.plan import Plan, Precision


class FakeQuantizer(nn.Module):
    """A parametrization: the weight becomes what the packed layer will have.

    Attributes:
        affine: scales and offsets, as in `MixedLinear`.
    """

    def __init__(self, weight: Tensor, precision: Precision, scales: str) -> None:
        super().__init__()
        # Those of a frozen front end never learn, and LSQ's start wastes two of eight bits; but a
        # search at every forward pass would cost more than the pass.
        rule = "mse" if scales == "learnt" else "max"
        self.affine = SCALES[scales](weight.detach().flatten(1), precision.quantizer, rule)

    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight.flatten(1).contiguous()
        affine = self.affine
        rounded = fake_quantize(matrix, affine(matrix), affine.quantizer, affine.margin)
        return rounded.view_as(weight)


def fixed_plan(recogniser: Recogniser, cnns: Precision | None, embedding: Precision) -> Plan:
    """Precisions of what is no encoder matrix.

    Args:
        cnns: None leaves them in floating point.
        embedding: of the embedding of tokens, where the recogniser has one.
    """
    tied = tied_names(recogniser.model)
    names = recogniser.family.cnns(recogniser.model)
    wanted = {name: embedding if tied and name == tied[1] else cnns for name in names}
    return Plan({name: each for name, each in wanted.items() if each is not None})


class QuantizedCnns:
    """Quantizes them in place. A weight norm is folded first: the weight itself trains then.

    Args:
        plan: precisions of some of `Family.cnns`. An embedding that is the output projection too
            serves both from the same codes.
        scales: one of `sottovoce.quantization.learned_scales.SCALES`.
    """

    def __init__(self, recogniser: Recogniser, plan: Plan, scales: str) -> None:
        self._model, self.plan = recogniser.model, plan
        layers = recogniser.family.cnns(recogniser.model)
        self._layers = {name: layer for name, layer in layers.items() if name in plan}
        share_embedding(self._model, plan)
        for name, layer in self._layers.items():
            fold_weight_norm(layer)
            with prefix_errors(f"layer {name!r}"):
                quantizer = FakeQuantizer(layer.weight, plan[name], scales)
            parametrize.register_parametrization(layer, "weight", quantizer)

    @property
    def affines(self) -> dict[str, TrainingAffine]:
        """Layer name -> its scales and offsets."""
        return {name: _quantizer(layer).affine for name, layer in self._layers.items()}

    @torch.no_grad()
    def affine_of(self, name: str) -> Affine:
        """Scales and offsets of one layer, as the packed model stores them."""
        layer = self._layers[name]
        weight: Tensor = _parametrized(layer).original
        affine: Affine = _quantizer(layer).affine(weight.flatten(1))
        return affine

    def dismantle(self) -> None:
        """Leave plain layers behind, with the weights that trained."""
        for layer in self._layers.values():
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
        part_embedding(self._model)


def _quantizer(layer: nn.Module) -> FakeQuantizer:
    quantizer: FakeQuantizer = _parametrized(layer)[0]
    return quantizer


def _parametrized(layer: nn.Module) -> Any:
    """The latent weight, as `original`, and what it goes through."""
    parametrizations: Any = layer.parametrizations
    return parametrizations["weight"]
