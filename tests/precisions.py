"""Precisions of every kind."""

from collections.abc import Sequence
from itertools import combinations, product

from sottovoce.quantization.grids import GRIDS
from sottovoce.quantization.plan import STORABLE_BITS, Precision

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


def _pairs(precision: Precision) -> set[tuple[tuple[str, object], ...]]:
    settings = {
        "bits": precision.bits,
        "grid": precision.grid,
        "scale per": precision.block or precision.granularity,
        "scale bits": precision.scale_bits,
    }
    return set(combinations(settings.items(), 2))


def pairwise(precisions: Sequence[Precision]) -> list[Precision]:
    """A few of them in which every two settings that occur together in all of them do so too."""
    missing = {pair for precision in precisions for pair in _pairs(precision)}
    chosen: list[Precision] = []
    while missing:
        chosen.append(max(precisions, key=lambda precision: len(_pairs(precision) & missing)))
        missing -= _pairs(chosen[-1])
    return chosen


PAIRWISE_PRECISIONS = pairwise(EVERY_PRECISION)
"""For tests in which settings meet in pairs at most; bit-exactness runs over every precision."""


def described(value: object) -> str | None:
    """A precision's name among a test's parameters."""
    if not isinstance(value, Precision):
        return None
    halves = "-16" if value.scale_bits else ""
    return f"{value.bits}-{value.grid}-{value.block or value.granularity}{halves}"
