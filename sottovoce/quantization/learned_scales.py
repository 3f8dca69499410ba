"""Scales and offsets of a weight that trains: learnt beside it, or computed from it each time."""

import torch
from torch import Tensor, nn

from sottovoce.quantization.affine import Affine
from sottovoce.quantization.quantizer import Quantizer
from sottovoce.quantization.ranges import initial_affine


class LearntAffine(nn.Module):
    """Scales and offsets that learn; called with the weight, it gives them as they are stored.

    Scales are learnt as logarithms, so that a step changes a scale by a ratio and never its sign;
    offsets are learnt in scales, so that a step moves the levels by a share of their distance.

    Attributes:
        log_scale: of the groups' shape.
        offset_in_scales: of the groups' shape; None for a grid without offset.
        margin: of the weights' gradient, in levels, as `fake.Candidates` has it: LSQ's.

    Args:
        weight: [rows, columns], that they start from.
        rule: one of `sottovoce.quantization.ranges.RANGES`.

    Raises:
        InputError: where they start does not fit in what they are stored in.
    """

    margin = 0.0

    def __init__(self, weight: Tensor, quantizer: Quantizer, rule: str) -> None:
        super().__init__()
        self.quantizer = quantizer
        start = initial_affine(weight, quantizer, rule)
        self.log_scale = nn.Parameter(start.scale.log())
        self.offset_in_scales = (
            None if start.offset is None else nn.Parameter(start.offset / start.scale)
        )

    def forward(self, weight: Tensor) -> Affine:  # noqa: ARG002 as AffineFromWeights takes it
        scale, offset = self.log_scale.exp(), self.offset_in_scales
        moved = None if offset is None else offset * scale
        return self.quantizer.stored(Affine(scale, moved))


class AffineFromWeights(nn.Module):
    """Scales and offsets that always follow from the weight as it is now (arXiv 2305.16619).

    They carry no gradient: the straight-through estimator takes them for constants.

    Attributes:
        margin: of the weights' gradient, in levels: the extreme weights learn, which are the range.

    Args:
        weight: [rows, columns], that it starts from.
        rule: one of `sottovoce.quantization.ranges.RANGES`: "max" leaves the clip coefficient at 1,
            "l1" and "mse" search it again each time.

    Raises:
        InputError: at any time, where they do not fit in what they are stored in.
    """

    margin = 0.5

    def __init__(self, weight: Tensor, quantizer: Quantizer, rule: str) -> None:
        super().__init__()
        self.quantizer = quantizer
        self.rule = rule
        self(weight)

    @torch.no_grad()
    def forward(self, weight: Tensor) -> Affine:
        return initial_affine(weight, self.quantizer, self.rule)


TrainingAffine = LearntAffine | AffineFromWeights

SCALES: dict[str, type[LearntAffine] | type[AffineFromWeights]] = {
    "learnt": LearntAffine,
    "from-weights": AffineFromWeights,
}
"""How the scales and offsets of a weight that trains come about."""
