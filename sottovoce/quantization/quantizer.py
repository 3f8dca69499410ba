"""A quantizer: a grid and what shares its scales; the arithmetic of whole weight matrices.

A plan makes one of every precision: importing this loads no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sottovoce.errors import InputError
from sottovoce.quantization.grids import Grid
from sottovoce.quantization.grouping import Grouping

if TYPE_CHECKING:
    from torch import Tensor

    from sottovoce.quantization.affine import Affine

LEAST_IN_16_BITS = 2.0**-24
MOST_IN_16_BITS = 65504.0
"""The least positive number that float16 holds, and the largest."""


@dataclass(frozen=True)
class Quantizer:
    """How the weights of one matrix become codes, and codes weights.

    Attributes:
        scale_bits: 16 where scales and offsets are stored as float16; None for float32.
    """

    grid: Grid
    grouping: Grouping
    scale_bits: int | None = None

    def round_to_codes(self, weight: Tensor, affine: Affine) -> Tensor:
        """Signed codes as floats, [rows, columns], of a weight of that shape."""
        return self.grid.round_to_codes(weight, *self.spread(affine, weight.shape[1]))

    def values(self, codes: Tensor, affine: Affine) -> Tensor:
        """The weights that signed float codes stand for, [rows, columns]."""
        return self.grid.values(codes, *self.spread(affine, codes.shape[1]))

    def rounded(self, weight: Tensor, affine: Affine) -> Tensor:
        """A weight on its grid, [rows, columns]."""
        scale, offset = self.spread(affine, weight.shape[1])
        return self.grid.values(self.grid.round_to_codes(weight, scale, offset), scale, offset)

    def spread(self, affine: Affine, columns: int) -> tuple[Tensor, Tensor | None]:
        """Scale and offset so that they broadcast over the matrix."""
        offset = affine.offset
        return self.grouping.spread(affine.scale, columns), (
            None if offset is None else self.grouping.spread(offset, columns)
        )

    def stored(self, affine: Affine) -> Affine:
        """Scales and offsets as they are stored: what training and packing both compute with."""
        return affine if self.scale_bits is None else affine.in_16_bits()

    def check(self, affine: Affine) -> None:
        """Raises InputError where a scale or an offset is larger than what it is stored in."""
        if self.scale_bits is not None and not affine.largest <= MOST_IN_16_BITS:
            raise InputError(
                f"a scale or offset of {affine.largest:g} does not fit in {self.scale_bits} bits; "
                "leave scale_bits out to store them in 32"
            )
