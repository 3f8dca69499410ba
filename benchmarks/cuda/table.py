"""Speed on a CUDA device."""

from benchmarks.cells import NOT_MEASURED, table
from benchmarks.rows import RESULTS, read_rows


def answer() -> str:
    """In a sentence."""
    rows = read_rows(RESULTS / "cuda.json")
    return f"{len(rows)} shapes and lengths were timed." if rows else "not measured yet."


def page() -> str:
    """In Markdown."""
    rows = read_rows(RESULTS / "cuda.json")
    title = (
        "# Speed on a CUDA device\n\n"
        "`python -m benchmarks.cuda.run`: seconds for one utterance, random weights in "
        "published shapes, batch 1; medians of rounds in which all systems take turns."
    )
    if not rows:
        return f"{title}\n\n{NOT_MEASURED}"
    names = list(dict.fromkeys(name for row in rows for name in row["medians"]))
    cells = [
        [f"{row['medians'][n]:.4f}" if n in row["medians"] else "" for row in rows] for n in names
    ]
    headings = [f"{row['shape']}, {row['seconds']} s, {row['device']}" for row in rows]
    lines = [[name, *own] for name, own in zip(names, cells, strict=True)]
    return f"{title}\n\n{table(['system', *headings], lines)}"
