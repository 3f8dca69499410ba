"""Learnt plans beside others."""

from itertools import combinations

from benchmarks.cells import NOT_MEASURED, percent, table
from benchmarks.rows import RESULTS, rank_correlation, read_rows


def answer() -> str:
    """In a sentence."""
    wer = {row["system"]: row["wer"] for row in read_rows(RESULTS / "plans.json")}
    chance = [rate for system, rate in wer.items() if "random" in system]
    return (
        f"trained alone at 3 bits, the learnt plan has {percent(wer['fixed: learnt, seed 0'])}, "
        f"random ones {percent(min(chance))} to {percent(max(chance))}, the plan of least squared "
        f"weight error {percent(wer['fixed: least squared weight error'])}."
    )


def page() -> str:
    """In Markdown."""
    rows = read_rows(RESULTS / "plans.json")
    title = (
        "# Is the plan worth learning?\n\n"
        "`python -m benchmarks.plans.run`: at the same size, every plan trained alone from "
        "the start point with the same updates and data (`fixed`), beside the joint runs that "
        "learnt theirs within those updates (half of them searching, while the weights wait; KL "
        "weight 1 throughout). KL is to the input checkpoint on dev, nats a frame: it has less "
        "noise than the error rate."
    )
    if not rows:
        return f"{title}\n\n{NOT_MEASURED}"
    lines = [
        [
            row["system"],
            f"{row['nominal_bits']:.2f}",
            percent(row["wer"]),
            f"{row['kl']:.4f}",
            str(row["recipe"]["steps"]),
        ]
        for row in rows
    ]
    learnt = [row["preference"] for row in rows if row["system"].startswith("joint")]
    agreement = [rank_correlation(one, other) for one, other in combinations(learnt, 2)]
    words = ", ".join(f"{rho:.2f}" for rho in agreement)
    return (
        f"{title}\n\n{table(['plan', 'nominal bits', 'dev WER', 'dev KL', 'updates'], lines)}\n\n"
        f"Rank correlation (Spearman) of the seeds' expected bits a layer, pair by pair: {words}."
    )
