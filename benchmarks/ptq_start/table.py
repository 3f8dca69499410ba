"""Training that starts from post-training quantization."""

from benchmarks.cells import NOT_MEASURED, percent, table, verdict
from benchmarks.rows import RESULTS, read_rows


def answer() -> str:
    """In a sentence."""
    wer = {row["system"]: percent(row["wer"]) for row in read_rows(RESULTS / "ptq_start.json")}
    return (
        f"not shown: 3 bits end at {wer['post-training plan and weights']} from its plan and "
        f"weights, at {wer['post-training plan']} from its plan, and at "
        f"{wer['plan learnt with the weights']} with a plan that is learnt (one run each)."
    )


def page() -> str:
    """In Markdown."""
    rows = read_rows(RESULTS / "ptq_start.json")
    title = (
        "# Is post-training quantization a good start?\n\n`python -m benchmarks.ptq_start.run`: "
        "the same updates at 3 bits with the plan that they learn, with the plan of `quantize "
        "--method mixed`, and from that method's rounded weights too. One run each."
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
