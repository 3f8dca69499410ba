"""How long quantizing takes."""

from benchmarks.cells import NOT_MEASURED, table
from benchmarks.quantize_time.run import MOST_MINUTES, ROWS
from benchmarks.rows import Row, read_rows


def rows() -> list[Row]:
    """Those of wav2vec2-base's shape with as much calibration speech as is used by default."""
    found = read_rows(ROWS)
    return [one for one in found if one["shape"] == "wav2vec2-base" and one["minutes"] is None]


def answer() -> str:
    """In a sentence."""
    told = ", ".join(f"{_name(row)} {row['seconds'] / 60:.1f} minutes" for row in rows())
    return f"On wav2vec2-base's shape: {told} (bar: {MOST_MINUTES:g})." if told else NOT_MEASURED


def page() -> str:
    """In Markdown."""
    title = (
        "# Time of quantizing without training\n\n`python -m benchmarks.quantize_time.run`: random "
        "weights of wav2vec2-base's shape with 128 utterances of calibration speech. In the worst "
        "case every layer is taken for sensitive (`--worst-case`)."
    )
    if not rows():
        return f"{title}\n\n{NOT_MEASURED}"
    lines = [
        [
            _name(row),
            f"{row['seconds'] / 60:.1f}",
            f"{row['cpu_seconds'] / 60:.1f}",
            f"{MOST_MINUTES:g}",
            str(row["threads"]),
            row["processor"],
            ", ".join(f"{name} {seconds:.0f}" for name, seconds in row["phases"].items()),
        ]
        for row in rows()
    ]
    headings = ["method", "minutes", "CPU-min", "bar", "threads", "processor", "phases, s"]
    return f"{title}\n\n{table(headings, lines)}"


def _name(row: Row) -> str:
    return f"{row['method']}, worst case" if row["worst_case"] else row["method"]
