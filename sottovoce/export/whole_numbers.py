"""A packed weight as whole numbers times a scale, which is all that int8 formats know."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sottovoce.artifact.packed_layers import PackedLayer
from sottovoce.errors import InputError


@dataclass(frozen=True)
class WholeNumbers:
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
    def of(cls, name: str, layer: PackedLayer) -> "WholeNumbers":
        """A layer's weight.

        Args:
            name: of the layer, for the message.

        Raises:
            InputError: its numbers are no such product, or int8 cannot hold the codes.
        """
        grid, precision = layer.grid, layer.precision
        if grid.has_offset:
            raise InputError(
                f"layer {name!r} has offsets, which formats of whole numbers cannot hold; quantize "
                "it on the symmetric or the half grid"
            )
        step = 2 if grid.shift else 1
        lowest, highest = (int(step * (end + grid.shift)) for end in (grid.lowest, grid.highest))
        bits = max(precision.bits, max(-lowest - 1, highest).bit_length() + 1)
        if bits > 8:
            raise InputError(
                f"layer {name!r} has {precision.bits}-bit codes on the {precision.grid} grid, "
                "which int8 cannot hold; quantize it on the symmetric grid"
            )
        return cls(step, lowest, bits, layer.affine.scale.detach().cpu() / step)

    def signed(self, codes: Tensor) -> Tensor:
        """Stored codes as int8."""
        return codes.int().mul(self.step).add(self.lowest).to(torch.int8)
