"""The papers' tables and ours, as far as they are run."""

from tables import DATA, TABLES, Kept


def section() -> str:
    """Of RESULTS.md."""
    lines = "\n".join(f"- `{one.command}`: {_kept(one)}." for one in TABLES)
    return (
        "## The papers' tables, and ours\n\n"
        f"`sottovoce reproduce ... {DATA} --evaluations 1`, and\n\n{lines}\n\n"
        "Table I was trained with one rate for all rows, and the machine did other work during "
        "some: times of O4 and of N4 are too long. At 100 updates their U1 has lost against the "
        "input checkpoint (15.41% against 14.14%), so that a verdict against it says little; "
        "at 5e-5 it has 14.27%. The rate of the low-bit rows was chosen on the Conformer, by these "
        "dev speakers; for HuBERT it is too high: U1 loses too."
    )


def _kept(one: Kept) -> str:
    there, wanted = len(one.rows) - 1, len(one.wanted)
    if there < 1:
        return "not run yet"
    told = "all rows" if there == wanted else f"{there} of {wanted} rows"
    return f"[{told}](results/{one.name}.md)"
