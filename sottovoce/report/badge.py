"""A verdict as a small sign."""

from sottovoce.report.markup import Markup, tag
from sottovoce.report.verdict import MARKS


def badge(verdict: str) -> Markup:
    """The verdict's word with its mark, in its colour."""
    return tag(
        "span",
        tag("span", MARKS[verdict], aria_hidden="true"),
        verdict,
        class_=f"badge {verdict}",
    )
