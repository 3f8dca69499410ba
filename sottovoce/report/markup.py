"""HTML and SVG elements as values, so that text cannot be forgotten to be escaped."""

from html import escape

from sottovoce.wording import printable_lines

VOID = frozenset({"meta", "br", "hr"})


class Markup(str):
    """Text that is HTML already; any other string is escaped when it enters an element."""

    __slots__ = ()


def join(*children: object) -> Markup:
    """The children one after the other; None leaves nothing."""
    return Markup("".join(_render(child) for child in children if child is not None))


def tag(element: str, *children: object, **attributes: object) -> Markup:
    """An element: `tag("td", "a < b", class_="wide")` is `<td class="wide">a &lt; b</td>`.

    A trailing underscore of an attribute's name is dropped, others become hyphens, and an
    attribute that is None is left out.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    opening = f"<{element}{written}>"
    return Markup(opening if element in VOID else f"{opening}{join(*children)}</{element}>")


def _render(child: object) -> str:
    return child if isinstance(child, Markup) else escape(_plain(child))


def _plain(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else printable_lines(value)
