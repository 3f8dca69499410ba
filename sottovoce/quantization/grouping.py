"""Grouping: which weights of a matrix share a scale, and how numbers go from groups to weights.

A matrix [rows, columns] has one group in all, one for each row, or one for each block of a row,
the last of which may be shorter. What belongs to groups is a matrix too:

| granularity | groups                        |
|-------------|-------------------------------|
| tensor      | [1, 1]                        |
| channel     | [rows, 1]                     |
| block of k  | [rows, ceil(columns / k)]     |

A block as long as a row, or longer, is the channel. The way back, from weights to groups, is
`reduction`; importing this loads no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Grouping:
    """The groups of weights that share a scale.

    Attributes:
        whole: the whole tensor does.
        block: else so many columns of a row do; None for all of them.
    """

    whole: bool = False
    block: int | None = None

    def shape(self, rows: int, columns: int) -> tuple[int, int]:
        """Shape of a matrix's scales: one number for each group."""
        return (1, 1) if self.whole else (rows, -(-columns // self.width(columns)))

    def spread(self, values: Tensor, columns: int) -> Tensor:
        """Numbers of groups, of `shape`, so that they broadcast over the matrix."""
        if values.shape[1] == 1:
            return values
        return values.repeat_interleave(self.width(columns), dim=1)[:, :columns]

    def width(self, columns: int) -> int:
        """How many columns of a row of so many share a scale."""
        return columns if self.whole else min(self.block or columns, columns)
