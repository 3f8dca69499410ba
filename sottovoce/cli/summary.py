"""What a compression prints at its end."""

from pathlib import Path

from sottovoce.cli.printing import Console
from sottovoce.record import RunRecord
from sottovoce.report import numbers
from sottovoce.report.tables import summary_table, tried_table


def print_summary(record: RunRecord, folder: Path) -> None:
    """The short table, the verdict against each baseline, notes, and where the report is."""
    console = Console(soft_wrap=True)
    if record.tried:
        console.print(tried_table(record.tried))
        console.print()
    console.print(summary_table(record))
    effective = numbers.bits(record.systems[-1].effective_bits)
    console.print(f"With scales and padding the encoder's matrices take {effective} bits a weight.")
    for one in record.comparisons:
        console.out(f"Against {one.baseline}: {one.sentence}", highlight=False)
    for note in record.notes:
        console.out(f"Note: {note}", highlight=False)
    console.out(f"Report: {folder / 'report.html'}", highlight=False)
