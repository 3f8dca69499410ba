"""Grouping: which weights of a matrix share a scale, and how numbers go between the two.

A matrix [rows, columns] has one group in all, one for each row, or one for each block of a row,
the last of which may be shorter. What belongs to groups is a matrix too:

| granularity | groups                        |
|-------------|-------------------------------|
| tensor      | [1, 1]                        |
| channel     | [rows, 1]                     |
| block of k  | [rows, ceil(columns / k)]     |

A block as long as a row, or longer, is the channel.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

SUM = partial(torch.sum, dim=-1)
"""Of the members of a group, as `Grouping.reduced` takes it."""


@dataclass(frozen=True)
class Grouping:
    """What shares a scale.

    Attributes:
        whole: the whole tensor does.
        block: else so many columns of a row do; None for all of them.
    """

    whole: bool = False
    block: int | None = None

    def shape(self, rows: int, columns: int) -> tuple[int, int]:
        """Of what belongs to the groups of a matrix."""
        return (1, 1) if self.whole else (rows, -(-columns // self._width(columns)))

    def spread(self, values: Tensor, columns: int) -> Tensor:
        """Numbers of groups, of `shape`, so that they broadcast over the matrix."""
        if values.shape[1] == 1:
            return values
        return values.repeat_interleave(self._width(columns), dim=1)[:, :columns]

    def reduced(self, operation: Callable[..., Tensor], *matrices: Tensor) -> Tensor:
        """One number for each group, of `shape`.

        Args:
            operation: reduces the last dimension of as many tensors as there are matrices.
            matrices: [rows, columns].
        """
        lines = [one.reshape(1, -1) for one in matrices] if self.whole else matrices
        return self.reduced_by_row(operation, *lines)

    def reduced_by_row(self, operation: Callable[..., Tensor], *matrices: Tensor) -> Tensor:
        """As `reduced`, but each row for itself: [rows, 1] for the whole tensor."""
        columns = matrices[0].shape[1]
        width = columns if self.whole else self._width(columns)
        full = columns - columns % width
        parts = [[one[:, :full].unflatten(1, (-1, width)) for one in matrices]]
        if full < columns:
            parts.append([one[:, full:].unsqueeze(1) for one in matrices])
        found = [operation(*part) for part in parts]
        return found[0] if len(found) == 1 else torch.cat(found, dim=1)

    def _width(self, columns: int) -> int:
        return min(self.block or columns, columns)
