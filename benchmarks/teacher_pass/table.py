"""What the cached teacher costs."""

from benchmarks.cells import NOT_MEASURED, table
from benchmarks.rows import RESULTS, Row, read_rows


def answer() -> str:
    """In a sentence."""
    spent = {row.get("heard"): row for row in _rows()}
    update = spent[None]["cpu_seconds"]
    return (
        f"the outputs that a search of 170 updates needs take as long as "
        f"{spent['search']['cpu_seconds'] / update:.0f} updates."
    )


def page() -> str:
    """In Markdown."""
    title = (
        "# What the cached teacher costs\n\n"
        "`python -m benchmarks.teacher_pass.run`: processor time, on one thread, of the start "
        "point's outputs over the training speech that a search of 170 updates hears, over all of "
        "it, and of one update that trains a plan at 3 bits."
    )
    lines = [
        [
            f"outputs, {row['heard']}" if row["measure"] == "pass" else "one update",
            f"{row['utterances']:,}" if "utterances" in row else "",
            f"{row['cpu_seconds']:.1f}",
        ]
        for row in _rows()
    ]
    if not lines:
        return f"{title}\n\n{NOT_MEASURED}"
    return f"{title}\n\n{table(['what', 'utterances', 'CPU-s'], lines)}"


def _rows() -> list[Row]:
    return read_rows(RESULTS / "teacher_pass.json")
