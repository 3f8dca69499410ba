"""Scales and offsets that learn."""

from torch import Tensor, nn

from sottovoce.quantizers.affine import Affine
from sottovoce.quantizers.quantizer import Quantizer
from sottovoce.quantizers.ranges import initial_affine


class LearntAffine(nn.Module):
    """The scales and offsets of one quantized weight; called, it gives them as they are stored.

    Scales are learnt as logarithms, so that a step changes a scale by a ratio and never its sign;
    offsets are learnt in scales, so that a step moves the levels by a share of their distance.

    Attributes:
        log_scale: of the groups' shape.
        offset_in_scales: of the groups' shape; None for a grid without offset.

    Args:
        weight: [rows, columns], that they start from.
        rule: one of `sottovoce.quantizers.ranges.RANGES`.

    Raises:
        InputError: where they start does not fit in what they are stored in.
    """

    def __init__(self, weight: Tensor, quantizer: Quantizer, rule: str) -> None:
        super().__init__()
        self.quantizer = quantizer
        start = initial_affine(weight, quantizer, rule)
        self.log_scale = nn.Parameter(start.scale.log())
        self.offset_in_scales = (
            None if start.offset is None else nn.Parameter(start.offset / start.scale)
        )

    def forward(self) -> Affine:
        scale, offset = self.log_scale.exp(), self.offset_in_scales
        moved = None if offset is None else offset * scale
        return self.quantizer.stored(Affine(scale, moved))
