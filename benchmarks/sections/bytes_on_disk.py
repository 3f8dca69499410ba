"""Bytes on disk."""

from rows import RESULTS, read_rows

from sections.cells import table


def section() -> str:
    """Of RESULTS.md."""
    rows = read_rows(RESULTS / "bytes.json")
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
        "## Bytes on disk\n\n`python benchmarks/bytes_on_disk.py`: `model.safetensors` of random "
        "weights in published shapes, per-tensor scales, everything in the file counted."
    )
    return f"{title}\n\n{table(['shape', 'nominal bits', 'MB', 'ratio', 'P1'], lines)}"
