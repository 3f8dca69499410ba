"""A packed weight as whole numbers times a scale, which is all that int8 formats know."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sottovoce.artifact.packed_layers import PackedLayer
from sottovoce.errors import InputError
from sottovoce.quantization.plan import Precision, Shape


@dataclass(frozen=True)
class Int8Weights:
    """weight = (stored code * step + lowest) * scale, exactly.

    Attributes:
        step: 2 for a grid of halves, which has twice its codes; else 1.
        lowest: what the stored code 0 stands for.
        bits: that hold all of them in two's complement.
        scale: float32, [1, 1], [rows, 1] or [rows, blocks].
    """

    step: int
    lowest: int
    bits: int
    scale: Tensor

    @classmethod
    def of(cls, name: str, layer: PackedLayer) -> "Int8Weights":
        """A layer's weight.

        Args:
            name: of the layer, for the message.

        Raises:
            InputError: its numbers are no such product, or int8 cannot hold the codes.
        """
        why = int8_export_obstacle(layer.precision)
        if why:
            raise InputError(f"layer {name!r} {why}; quantize it on the symmetric grid")
        step, lowest, bits = integer_range(layer.precision)
        return cls(step, lowest, bits, layer.affine.scale.detach().cpu() / step)

    def signed(self, codes: Tensor) -> Tensor:
        """Stored codes as int8."""
        return codes.int().mul(self.step).add(self.lowest).to(torch.int8)


def int8_export_obstacle(precision: Precision) -> str | None:
    """Why weights of this precision are no whole numbers in int8 times a scale, if they are not."""
    if precision.quantizer.grid.has_offset:
        return "has offsets, which formats of whole numbers cannot hold"
    if integer_range(precision)[2] > 8:
        return (
            f"has {precision.bits}-bit codes on the {precision.grid} grid, which int8 cannot hold"
        )
    return None


def int8_obstacle(precision: Precision, shape: Shape) -> str | None:
    """Why 8-bit kernels cannot multiply by a weight of this precision and shape, if they cannot."""
    if precision.groups(shape)[1] > 1:
        return (
            f"has a scale for every {precision.block} weights, which 8-bit kernels cannot multiply"
        )
    return int8_export_obstacle(precision)


def integer_range(precision: Precision) -> tuple[int, int, int]:
    """Step and lowest number, as `Int8Weights` has them, and the bits of all of them."""
    grid = precision.quantizer.grid
    step = 2 if grid.shift else 1
    lowest, highest = (int(step * (end + grid.shift)) for end in (grid.lowest, grid.highest))
    return step, lowest, max(-lowest - 1, highest).bit_length() + 1
