"""Grids: which numbers `bits` bits can stand for.

Every grid is uniform. With scale s, the code q of a weight w and the value it stands for are

    q = clip(round((w - o) / s - shift), lowest, highest)        value = s * (q + shift) + o

| grid       | lowest        | highest       | shift     | at 2 bits, without offset      |
|------------|---------------|---------------|-----------|--------------------------------|
| symmetric  | -((n-1)//2)   | (n-1)//2      | 0         | ternary: -s, 0, s              |
| full       | -(n//2)       | (n-1)//2      | 0         | -2s, -s, 0, s                  |
| half       | -(n//2)       | (n-1)//2      | (1-n%2)/2 | -1.5s, -0.5s, 0.5s, 1.5s       |
| asymmetric | -(n//2)       | (n-1)//2      | (1-n%2)/2 | -1.5s, -0.5s, 0.5s, 1.5s       |

of n codes (// divides down, n%2 is 1 where n is odd). b bits have n = 2^b codes; 1.6 bits have 3,
for five of those, 243 in all, fit in a byte. With 3 codes every grid is ternary, -s, 0, s.

`symmetric` is xu2025's grid; `half` is ParetoQ's balanced one (arXiv 2502.02631) for any width: at
2 bits with a = 2s its levels are +-0.25a and +-0.75a, and 1 bit is the sign. Only `asymmetric` has
an offset o. It is rybakov2023's grid; rybakov2023 stores its least level, here o is its middle:
the same levels, but a scale that changes moves them apart and not away, and a small number keeps
its digits in 16 bits.
Codes are stored as q - lowest, an unsigned number below n.

A recipe and its flags name grids: importing this loads no torch, and the arithmetic is that of the
tensors that it is given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sottovoce.errors import InputError

if TYPE_CHECKING:
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
    has_offset: bool = False

    def ratio(self, weight: Tensor, scale: Tensor, offset: Tensor | None = None) -> Tensor:
        """Each weight in scales from the offset, (w - o) / s. Shapes broadcast."""
        return weight / scale if offset is None else (weight - offset).div_(scale)

    def round_to_codes(self, weight: Tensor, scale: Tensor, offset: Tensor | None = None) -> Tensor:
        """Signed codes as floats, of `weight`'s shape; rounds half to even."""
        position = self.ratio(weight, scale, offset)
        position = position.sub_(self.shift) if self.shift else position
        return position.clamp_(self.lowest, self.highest).round_()

    def values(self, codes: Tensor, scale: Tensor, offset: Tensor | None = None) -> Tensor:
        """The numbers that signed float codes stand for."""
        values = (codes + self.shift if self.shift else codes) * scale
        return values if offset is None else values.add_(offset)

    @property
    def largest(self) -> float:
        """The largest value on the grid at scale 1."""
        return self.highest + self.shift

    @property
    def levels(self) -> tuple[float, ...]:
        """All values on the grid at scale 1, ascending."""
        return tuple(code + self.shift for code in range(self.lowest, self.highest + 1))


def codes_of(bits: float) -> int:
    """How many codes a width has: 2^bits, rounded down."""
    return int(2**bits)


def _symmetric(codes: int) -> Grid:
    return Grid(-((codes - 1) // 2), (codes - 1) // 2, 0.0)


def _full(codes: int) -> Grid:
    return Grid(-(codes // 2), (codes - 1) // 2, 0.0)


def _half(codes: int) -> Grid:
    return Grid(-(codes // 2), (codes - 1) // 2, 0.0 if codes % 2 else 0.5)


def _asymmetric(codes: int) -> Grid:
    return replace(_half(codes), has_offset=True)


GRIDS = {"symmetric": _symmetric, "full": _full, "half": _half, "asymmetric": _asymmetric}


def grid_of(name: str, bits: float) -> Grid:
    """The grid called `name` at `bits` bits.

    Raises:
        InputError: it has no level above zero, as the symmetric and the full one at 1 bit.
    """
    grid = GRIDS[name](codes_of(bits))
    if grid.largest <= 0:
        raise InputError(f"the {name} grid has no levels at {bits} bit; give half or asymmetric")
    return grid
