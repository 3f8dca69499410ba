"""The papers' tables at this scale."""

from benchmarks.kept_tables import listed
from benchmarks.papers.run import TABLE_1, TABLE_P2, TABLES


def answer() -> str:
    """In a sentence."""
    won, tests = (
        sum(one.outcome == "won" for one in TABLE_P2.tests if "offset" in one.claim),
        [one for one in TABLE_P2.tests if "offset" in one.claim],
    )
    shown = sum(one.outcome == "won" for one in TABLE_1.tests)
    return (
        f"of {len(TABLE_1.tests)} pairs of Table I of xu2025 {shown} come out as the paper has "
        f"them at this scale (100 updates); of rybakov2023 an offset helps 2 bits in {won} of "
        f"{len(tests)} pairs."
    )


def page() -> str:
    """In Markdown."""
    return (
        "# The papers' tables\n\n"
        "`python -m benchmarks.papers.run`, that is `sottovoce reproduce` with the training and "
        f"dev speech of `commands` and `--evaluations 1`:\n\n{listed(TABLES)}\n\n"
        "Table I was trained with one rate for all rows, and the machine did other work during "
        "some: times of O4 and of N4 are too long. At 100 updates their U1 has lost against the "
        "input checkpoint (15.41% against 14.14%), so that a verdict against it says little; "
        "at 5e-5 it has 14.27%."
    )
