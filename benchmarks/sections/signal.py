"""What teaches the importances."""

from itertools import combinations

from rows import RESULTS, Row, rank_correlation, read_rows

from sections.cells import NOT_MEASURED, table


def section() -> str:
    """Of RESULTS.md."""
    title = (
        "## What teaches the importances\n\n`python benchmarks/plan_signal.py`: the plan after 50 "
        "updates of a search at 3 bits, by what teaches the importances. Divergence: KL from the "
        "start point, nats a frame, of the start point's own weights rounded to the plan, without "
        "further training. 15 and 26 updates are what the default recipe searches of 100 and 170. "
        "See [the decision]"
        "(../docs/decisions/0006-importances-learn-from-the-second-order-cost.md)."
    )
    rows = read_rows(RESULTS / "plan_signal.json")
    searches = [row for row in rows if row["measure"] == "search"]
    if not searches:
        return f"{title}\n\n{NOT_MEASURED}"
    lines = []
    for way, kl in dict.fromkeys((row["way"], row["kl"]) for row in searches):
        own = [row for row in searches if (row["way"], row["kl"]) == (way, kl)]
        lines.append(_learnt(f"learnt: {way} gradient, KL weight {kl:g}", own))
    short = [row for row in rows if row["measure"] == "short"]
    for widths, updates in dict.fromkeys((str(row["candidates"]), row["updates"]) for row in short):
        own = [r for r in short if (str(r["candidates"]), r["updates"]) == (widths, updates)]
        lines.append(_learnt(f"learnt in {updates} updates, of {widths[1:-1]} bits", own))
    others = [row for row in rows if row["measure"] == "plan"]
    lines += [[row["name"], f"{row['divergence']:.4f}"] for row in others]
    headings = ["plan", "divergence, by seed", "rank correlation of the seeds"]
    return f"{title}\n\n{table(headings, lines)}"


def _learnt(plan: str, seeds: list[Row]) -> list[str]:
    pairs = combinations([row["preference"] for row in seeds], 2)
    return [
        plan,
        ", ".join(f"{row['divergence']:.4f}" for row in seeds),
        ", ".join(f"{rank_correlation(one, other):.2f}" for one, other in pairs),
    ]
