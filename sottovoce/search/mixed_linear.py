"""A matrix that a layer multiplies by: one of several quantized versions of one latent weight."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sottovoce.models.family import is_pointwise
from sottovoce.quantization.affine import Affine
from sottovoce.quantization.fake_quantize import Candidates, quantize_candidates
from sottovoce.quantization.learned_scales import SCALES, TrainingAffine
from sottovoce.quantization.plan import Precision


class MixedLinear(nn.Module):
    """Stands in for an `nn.Linear`; every candidate shares the latent weight (xu2025, section III).

    `weight` is whatever the supernet last chose for this layer: the latent weight itself, a
    quantized candidate or a mixture. It is a plain attribute because WavLM multiplies by
    `q_proj.weight` without calling the layer.

    Attributes:
        latent: [rows, columns], the full-precision weight that trains.
        scales: scales and offsets, one module for each candidate.
    """

    weight: Tensor

    def __init__(
        self,
        layer: nn.Linear | nn.Conv1d,
        candidates: tuple[Precision, ...],
        scales: str,
        initial_range: str,
        fused: bool,
    ) -> None:
        super().__init__()
        self.latent = nn.Parameter(layer.weight.detach().flatten(1).clone())
        self.bias: nn.Parameter | None = layer.bias  # type: ignore[assignment]
        self.candidates = candidates
        self.fused = fused
        self.quantizers = tuple(one.quantizer for one in candidates)
        self.scales = nn.ModuleList(
            SCALES[scales](self.latent, quantizer, initial_range) for quantizer in self.quantizers
        )
        self.use(self.latent)

    def use(self, weight: Tensor) -> None:
        """Make `weight` the one that the layer multiplies by."""
        object.__setattr__(self, "weight", weight)

    @property
    def affines(self) -> list[TrainingAffine]:
        """Scales and offsets of each candidate."""
        return [cast("TrainingAffine", one) for one in self.scales]

    def quantized(
        self, bits: tuple[float, ...], mixture: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """The candidates of these widths, in this order, then the mixture where one is given."""
        alone = tuple(self._index(width) for width in bits)
        needed = alone if mixture is None else tuple(range(len(self.candidates)))
        quantizers = tuple(self.quantizers[index] for index in needed)
        places = tuple(needed.index(index) for index in alone)
        margin = self.affines[0].margin
        wanted = Candidates(quantizers, places, mixture is not None, self.fused, margin)
        affines = [self.affines[index](self.latent) for index in needed]
        return quantize_candidates(self.latent, affines, mixture, wanted)

    @torch.no_grad()
    def affine_of(self, bits: float) -> Affine:
        """Scales and offsets of one candidate, as the packed model stores them."""
        affine: Affine = self.affines[self._index(bits)](self.latent)
        return affine

    def _index(self, bits: float) -> int:
        return [candidate.bits for candidate in self.candidates].index(bits)

    def forward(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.weight, self.bias)

    def plain(self) -> nn.Linear | nn.Conv1d:
        """The ordinary layer, with the latent weight."""
        rows, columns = self.latent.shape
        linear = nn.Linear(columns, rows, bias=self.bias is not None, device="meta")
        linear.weight = self.latent
        linear.register_parameter("bias", self.bias)
        return linear


class MixedPointwise(MixedLinear):
    """Stands in for a pointwise `nn.Conv1d`; inputs are [utterances, columns, frames]."""

    def forward(self, inputs: Tensor) -> Tensor:
        return F.conv1d(inputs, self.weight.unsqueeze(2), self.bias)

    def plain(self) -> nn.Conv1d:
        rows, columns = self.latent.shape
        pointwise = nn.Conv1d(columns, rows, 1, bias=self.bias is not None, device="meta")
        pointwise.weight = nn.Parameter(self.latent.detach().unsqueeze(2))
        pointwise.register_parameter("bias", self.bias)
        return pointwise


def mixed_layer(
    layer: nn.Module,
    candidates: tuple[Precision, ...],
    scales: str,
    initial_range: str,
    fused: bool,
) -> MixedLinear:
    """What stands in for an encoder matrix; else as `MixedLinear`."""
    if isinstance(layer, nn.Linear):
        return MixedLinear(layer, candidates, scales, initial_range, fused)
    if isinstance(layer, nn.Conv1d) and is_pointwise(layer):
        return MixedPointwise(layer, candidates, scales, initial_range, fused)
    raise TypeError(f"a {type(layer).__name__} is no matrix")
