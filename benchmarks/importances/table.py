"""What teaches the importances."""

from itertools import combinations

from benchmarks.cells import NOT_MEASURED, table
from benchmarks.rows import RESULTS, Row, rank_correlation, read_rows


def answer() -> str:
    """In a sentence."""
    rows = read_rows(RESULTS / "importances.json")
    of = {
        way: max(
            row["divergence"]
            for row in rows
            if row["measure"] == "search" and row["way"] == way and row["kl"] == 1
        )
        for way in ("sampled", "expected")
    }
    return (
        "the expected second-order cost: plans that it teaches cost at most "
        f"{of['expected']:.4f} nats a frame, those of the sampled gradient {of['sampled']:.4f}."
    )


def page() -> str:
    """In Markdown."""
    title = (
        "# What teaches the importances\n\n`python -m benchmarks.importances.run`: the plan after "
        "50 updates of a search at 3 bits, by what teaches the importances. Divergence: KL from "
        "the start point, nats a frame, of the start point's own weights rounded to the plan, "
        "without further training. 15 and 26 updates are what the default recipe searches of 100 "
        "and 170. See [the decision]"
        "(../../docs/decisions/0006-importances-learn-from-the-second-order-cost.md)."
    )
    rows = read_rows(RESULTS / "importances.json")
    searches = [row for row in rows if row["measure"] == "search"]
    if not searches:
        return f"{title}\n\n{NOT_MEASURED}"
    by_plan: dict[str, list[Row]] = {}
    for row in (*searches, *(row for row in rows if row["measure"] == "short")):
        by_plan.setdefault(_name(row), []).append(row)
    lines = [_learnt(plan, seeds) for plan, seeds in by_plan.items()]
    others = [row for row in rows if row["measure"] == "plan"]
    lines += [[row["name"], f"{row['divergence']:.4f}"] for row in others]
    headings = ["plan", "divergence, by seed", "rank correlation of the seeds"]
    return f"{title}\n\n{table(headings, lines)}"


def _name(row: Row) -> str:
    if row["measure"] == "search":
        return f"learnt: {row['way']} gradient, KL weight {row['kl']:g}"
    widths = ", ".join(map(str, row["candidates"]))
    return f"learnt in {row['updates']} updates, of {widths} bits"


def _learnt(plan: str, seeds: list[Row]) -> list[str]:
    pairs = combinations([row["preference"] for row in seeds], 2)
    return [
        plan,
        ", ".join(f"{row['divergence']:.4f}" for row in seeds),
        ", ".join(f"{rank_correlation(one, other):.2f}" for one, other in pairs),
    ]
