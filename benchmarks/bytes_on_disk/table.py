"""Bytes on disk."""

from benchmarks.cells import table
from benchmarks.rows import RESULTS, read_rows


def answer() -> str:
    """In a sentence."""
    rows = read_rows(RESULTS / "bytes_on_disk.json")
    most = max(abs(row["ratio"] / row["published"] - 1) for row in rows)
    return f"yes, within {most:.1%} for all {len(rows)} sizes of xu2025 that were written."


def page() -> str:
    """In Markdown."""
    rows = read_rows(RESULTS / "bytes_on_disk.json")
    lines = [
        [
            row["shape"],
            f"{row['nominal_bits']:.2f}",
            f"{row['artifact_bytes'] / 1e6:.1f}",
            f"{row['ratio']:.2f}",
            f"{row['published']:.2f}",
        ]
        for row in rows
    ]
    title = (
        "# Bytes on disk\n\n`python -m benchmarks.bytes_on_disk.run`: `model.safetensors` of "
        "random weights in published shapes, per-tensor scales, everything in the file counted."
    )
    return f"{title}\n\n{table(['shape', 'nominal bits', 'MB', 'ratio', 'P1'], lines)}"
