"""What teaches the importances."""

from itertools import combinations

from rows import RESULTS, rank_correlation, read_rows

from sections.cells import NOT_MEASURED, table


def section() -> str:
    """Of RESULTS.md."""
    title = (
        "## What teaches the importances\n\n`python benchmarks/plan_signal.py`: the plan after 50 "
        "updates of a search at 3 bits, by what teaches the importances. Divergence: KL from the "
        "start point, nats a frame, of the start point's own weights rounded to the plan, without "
        "further training. See [the decision]"
        "(../docs/decisions/0006-importances-learn-from-the-second-order-cost.md)."
    )
    rows = read_rows(RESULTS / "plan_signal.json")
    searches = [row for row in rows if row["measure"] == "search"]
    if not searches:
        return f"{title}\n\n{NOT_MEASURED}"
    lines = []
    for way, kl in dict.fromkeys((row["way"], row["kl"]) for row in searches):
        learnt = [row for row in searches if (row["way"], row["kl"]) == (way, kl)]
        pairs = combinations([row["preference"] for row in learnt], 2)
        lines.append(
            [
                f"learnt: {way} gradient, KL weight {kl:g}",
                ", ".join(f"{row['divergence']:.4f}" for row in learnt),
                ", ".join(f"{rank_correlation(one, other):.2f}" for one, other in pairs),
            ]
        )
    others = [row for row in rows if row["measure"] == "plan"]
    lines += [[row["name"], f"{row['divergence']:.4f}"] for row in others]
    headings = ["plan", "divergence, by seed", "rank correlation of the seeds"]
    return f"{title}\n\n{table(headings, lines)}"
