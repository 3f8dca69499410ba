"""Speed on a CUDA device."""

from rows import RESULTS, read_rows

from sections.cells import NOT_MEASURED, table


def section() -> str:
    """Of RESULTS.md."""
    rows = read_rows(RESULTS / "runtimes_on_cuda.json")
    title = (
        "## Speed on a CUDA device\n\n"
        "`python benchmarks/runtimes_on_cuda.py`: seconds for one utterance, random weights in "
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
