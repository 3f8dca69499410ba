"""Grids: which numbers `bits` bits can stand for.

Every grid is uniform. With scale s, the code q of a weight w and the value it stands for are

    q = clip(round(w / s - shift), lowest, highest)        value = s * (q + shift)

| grid      | lowest        | highest       | shift | at 2 bits                      |
|-----------|---------------|---------------|-------|--------------------------------|
| symmetric | -(2^(b-1)-1)  | 2^(b-1)-1     | 0     | ternary: -s, 0, s              |
| full      | -2^(b-1)      | 2^(b-1)-1     | 0     | -2s, -s, 0, s                  |
| half      | -2^(b-1)      | 2^(b-1)-1     | 1/2   | -1.5s, -0.5s, 0.5s, 1.5s       |

`symmetric` is P1's grid; `half` is ParetoQ's balanced one (arXiv 2502.02631) for any width: at
2 bits with a = 2s its levels are +-0.25a and +-0.75a. Codes are stored as q - lowest, an unsigned
number below 2^b.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """The codes of one grid at one width, and the arithmetic both ways.

    `round_to_codes` and `values` are the only quantization arithmetic in the project: training
    and the packed model both run it, which is why they agree bit for bit.
    """

    lowest: int
    highest: int
    shift: float

    def position(self, weight: Tensor, scale: Tensor) -> Tensor:
        """Where each weight lies on the grid, in codes, before rounding. Shapes broadcast."""
        position = weight / scale
        return position.sub_(self.shift) if self.shift else position

    def round_to_codes(self, weight: Tensor, scale: Tensor) -> Tensor:
        """Signed codes as floats, of `weight`'s shape; rounds half to even."""
        return self.position(weight, scale).clamp_(self.lowest, self.highest).round_()

    def values(self, codes: Tensor, scale: Tensor) -> Tensor:
        """The numbers that signed float codes stand for."""
        return (codes + self.shift if self.shift else codes) * scale

    @property
    def largest(self) -> float:
        """The largest value on the grid at scale 1."""
        return self.highest + self.shift

    @property
    def levels(self) -> Tensor:
        """All values on the grid at scale 1, ascending."""
        return torch.arange(self.lowest, self.highest + 1) + self.shift


def _symmetric(bits: int) -> Grid:
    return Grid(-(2 ** (bits - 1) - 1), 2 ** (bits - 1) - 1, 0.0)


def _full(bits: int) -> Grid:
    return Grid(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0.0)


def _half(bits: int) -> Grid:
    return Grid(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0.5)


GRIDS = {"symmetric": _symmetric, "full": _full, "half": _half}


def grid_of(name: str, bits: int) -> Grid:
    """The grid called `name` at `bits` bits."""
    return GRIDS[name](bits)
