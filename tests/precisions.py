"""Precisions of every kind."""

from itertools import product

from sottovoce.plan import STORABLE_BITS, Precision
from sottovoce.quantizers.grids import GRIDS

GRIDS_OF = [
    (name, bits)
    for name, bits in product(GRIDS, STORABLE_BITS)
    if bits > 1 or name in ("half", "asymmetric")
]
"""(grid, bits), for every width that the grid has levels at."""

GROUPED = (("tensor", None), ("channel", None), ("block", 8), ("block", 1), ("block", 1000))
"""(granularity, block); of most widths the last block of 8 is short."""

EVERY_PRECISION = [
    Precision(bits, grid, granularity, block, scale_bits)
    for (grid, bits), (granularity, block), scale_bits in product(GRIDS_OF, GROUPED, (None, 16))
]


def described(value: object) -> str | None:
    """A precision's name among a test's parameters."""
    if not isinstance(value, Precision):
        return None
    halves = "-16" if value.scale_bits else ""
    return f"{value.bits}-{value.grid}-{value.block or value.granularity}{halves}"
