"""Markdown from plain text, with what Markdown would read as markup escaped."""

import re
from collections.abc import Iterable, Sequence
from html import escape

from sottovoce.wording import printable, printable_lines


def text(plain: object) -> str:
    """One line that shows `plain` as it is, in a paragraph or a table's cell."""
    line = printable(" ".join(str(plain).split()))
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", escape(line, quote=False))


def table(headings: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A table; "!" before a heading aligns its column to the right."""
    rule = ["---:" if heading.startswith("!") else "---" for heading in headings]
    return "\n".join(
        (
            _line(text(heading.removeprefix("!")) for heading in headings),
            _line(rule),
            *(_line(map(text, line)) for line in lines),
        )
    )


def fenced(code: str, language: str) -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    longest = max(map(len, re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{printable_lines(code)}\n{fence}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
