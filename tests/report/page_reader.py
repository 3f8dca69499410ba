"""Reads a page back with the standard parser, strictly."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "hr"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    children: list["Element"] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(self.pieces).split())

    def all(self, tag: str, **attributes: str) -> list["Element"]:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        found = [child for child in self.children if child.tag == tag]
        found = [e for e in found if wanted.items() <= e.attributes.items()]
        return found + [e for child in self.children for e in child.all(tag, **attributes)]

    def one(self, tag: str, **attributes: str) -> "Element":
        (element,) = self.all(tag, **attributes)
        return element

    def rows(self) -> list[list[str]]:
        """The texts of a table's cells, line by line."""
        return [
            [cell.text for cell in row.children if cell.tag in ("td", "th")]
            for row in self.all("tr")
        ]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.pieces.append(data)


def read_page(html: str) -> Element:
    """The page's tree; raises AssertionError where elements are not nested and closed."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == [reader.root], f"<{reader.open[-1].tag}> is never closed"
    return reader.root
