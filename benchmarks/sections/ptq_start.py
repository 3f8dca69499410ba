"""Training that starts from post-training quantization."""

from rows import RESULTS, read_rows

from sections.cells import NOT_MEASURED, percent, table, verdict


def section() -> str:
    """Of RESULTS.md."""
    rows = read_rows(RESULTS / "ptq_start.json")
    title = (
        "## Is post-training quantization a good start?\n\n`python benchmarks/ptq_start.py`: the "
        "same updates at 3 bits with the plan that they learn, with the plan of `quantize --method "
        "mixed`, and from that method's rounded weights too. One run each."
    )
    if not rows:
        return f"{title}\n\n{NOT_MEASURED}"
    lines = [
        [
            row["system"],
            f"{row['nominal_bits']:.2f}",
            percent(row["start_wer"]),
            percent(row["wer"]),
            verdict(row),
            f"{row['cpu_seconds'] / 60:.1f}",
        ]
        for row in rows
    ]
    headings = ["plan", "bits", "start WER", "dev WER", "against the checkpoint", "CPU-min"]
    return f"{title}\n\n{table(headings, lines)}"
