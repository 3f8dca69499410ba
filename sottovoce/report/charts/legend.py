"""The key to a figure's marks."""

from sottovoce.report.markup import Markup, tag


def swatches(*entries: tuple[str, str]) -> Markup:
    """A line of (class of the mark, what it stands for)."""
    return tag(
        "p",
        *(tag("span", tag("i", class_=f"swatch {mark}"), text) for mark, text in entries),
        class_="legend",
    )
