"""2 bits and below."""

from benchmarks.cells import percent, table
from benchmarks.kept_tables import listed
from benchmarks.low_bits.run import CONFORMER, SEEDS, TABLES
from sottovoce.reproduction.table import INPUT


def answer() -> str:
    """In a sentence."""
    start, rows = CONFORMER.rows[INPUT], CONFORMER.rows
    two, lower = rows["2A-64-max"], rows["joint-1.8"]
    seeds = [one.wer["dev"] for name, one in SEEDS.rows.items() if name.startswith("2A-64")]
    return (
        f"a Conformer of {percent(start.wer['dev'])} has {percent(two.wer['dev'])} at 2 bits in "
        f"blocks of 64 ({two.ratio:.1f} times smaller) and {percent(lower.wer['dev'])} at "
        f"{lower.bits:.2f} bits ({lower.ratio:.1f} times); with ranges clipped, three seeds of 2 "
        f"bits have {', '.join(map(percent, seeds))}."
    )


def page() -> str:
    """In Markdown."""
    lines = [
        [
            kept.start,
            name,
            f"{row.bits:.2f}",
            f"{row.effective_bits:.2f}",
            f"{row.bytes / 1e6:.2f}",
            f"{row.ratio:.1f}",
            percent(row.wer["dev"]),
        ]
        for kept in TABLES
        for name, row in kept.rows.items()
    ]
    headings = ["start", "row", "bits", "effective", "MB", "ratio", "dev WER"]
    return (
        "# Two bits and below\n\n"
        "`python -m benchmarks.low_bits.run`: 600 updates, 8 bits for all that is no encoder "
        "matrix. The rate of the rows was chosen on the Conformer, by these dev speakers; for "
        "HuBERT it is too high: U1 loses too. Row by row, with tests against the input checkpoint "
        f"and against U1:\n\n{listed(TABLES)}\n\n{table(headings, lines)}"
    )
