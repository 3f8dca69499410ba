"""Scales and offsets: what turns the levels of a grid into weights, group by group."""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from sottovoce.quantization.quantizer import LEAST_IN_16_BITS, MOST_IN_16_BITS


@dataclass(frozen=True, eq=False)
class Affine:
    """value = scale * level + offset, the same for all weights of a group.

    Attributes:
        scale: positive, of the groups' shape: [1, 1], [rows, 1] or [rows, blocks].
        offset: of the same shape; None where the grid has none.
    """

    scale: Tensor
    offset: Tensor | None = None

    def of_column(self, column: int) -> Self:
        """Return one column's scales and offsets, [rows, 1], where they broadcast over a matrix."""
        if self.scale.shape[1] == 1:
            return self
        at = slice(column, column + 1)
        return type(self)(self.scale[:, at], None if self.offset is None else self.offset[:, at])

    def in_16_bits(self) -> Self:
        """Round to what float16 holds, in the same dtype; gradients pass straight through.

        A scale too small becomes the least positive number, one too large the largest.
        """
        offset = self.offset
        return type(self)(
            _In16Bits.apply(self.scale, LEAST_IN_16_BITS),
            None if offset is None else _In16Bits.apply(offset, -MOST_IN_16_BITS),
        )

    @property
    def largest(self) -> float:
        """The largest magnitude of all scales and offsets."""
        both = [self.scale] if self.offset is None else [self.scale, self.offset]
        return max(float(tensor.detach().abs().max()) for tensor in both)


class _In16Bits(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, numbers: Tensor, least: float) -> Tensor:
        return numbers.clamp(least, MOST_IN_16_BITS).half().to(numbers.dtype)

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None
