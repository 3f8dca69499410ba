"""Load time and memory."""

from benchmarks.cells import NOT_MEASURED, table
from benchmarks.rows import RESULTS, read_rows


def footprints() -> str:
    """Load time and memory, in Markdown."""
    rows = [row for row in read_rows(RESULTS / "runtimes.json") if row["table"] == "footprint"]
    title = (
        "## Load time and memory\n\n"
        "`python -m benchmarks.runtimes`: each in a process of its own, which loads the model and "
        "recognises 10 s of audio; its peak resident memory, Python and libraries included."
    )
    if not rows:
        return f"{title}\n\n{NOT_MEASURED}"
    lines = [
        [
            row["shape"],
            row["system"],
            f"{row['file_bytes'] / 1e6:.0f}",
            f"{row['load_seconds']:.1f}",
            f"{row['peak_bytes'] / 1e9:.2f}",
        ]
        for row in rows
    ]
    return f"{title}\n\n{table(['shape', 'system', 'file, MB', 'load, s', 'peak, GB'], lines)}"
