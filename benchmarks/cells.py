"""What the pages' tables are made of."""

from collections.abc import Iterable, Sequence
from typing import Any

Row = dict[str, Any]
NOT_MEASURED = "Not measured yet."


def table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """In Markdown; a short line is filled up."""
    body = [headings, ["---"] * len(headings), *lines]
    width = len(headings)
    return "\n".join(
        "| " + " | ".join([*line, *[""] * (width - len(line))]) + " |" for line in body
    )


def percent(fraction: float) -> str:
    """With two digits."""
    return f"{100 * fraction:.2f}%"


def verdict(row: Row) -> str:
    """With what it rests on."""
    found = row["detectable"]
    power = "" if found is None else f", would have found {100 * found:.1f}%"
    chance = "< 0.01" if row["p"] < 0.01 else f"= {row['p']:.2f}"
    return f"{row['verdict']} (p {chance}{power})"


def standing(row: Row) -> list[str]:
    """System, megabytes, error rate, its interval, verdict."""
    return [
        row["system"],
        f"{row['bytes'] / 1e6:.2f}",
        percent(row["wer"]),
        f"{percent(row['interval'][0])} to {percent(row['interval'][1])}",
        verdict(row),
    ]
