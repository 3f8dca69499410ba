"""The cells that every table has for a system."""

from sottovoce.record import System
from sottovoce.report import numbers

HEADINGS = ("system", "!size", "!ratio", "!bits", "!effective", "!WER", "!95% interval")
"""The columns' names; "!" marks a column of numbers."""


def cells_of(system: System, first: System) -> tuple[str, ...]:
    """A cell for each heading; the ratio is `first`'s bytes by the system's."""
    return (
        system.name,
        numbers.size(system.bytes),
        numbers.ratio(first.bytes / system.bytes),
        numbers.bits(system.nominal_bits),
        numbers.bits(system.effective_bits),
        numbers.percent(system.wer),
        numbers.interval(system.low, system.high),
    )
