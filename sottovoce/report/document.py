"""An HTML page that needs no network and no other file."""

from collections.abc import Iterable
from importlib.resources import files

from sottovoce.report.markup import Markup, tag

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Tells the browser to load nothing, whatever text a page may carry."""


def document(
    title: str, byline: Markup, main: Iterable[Markup | None], footer: Markup | None
) -> str:
    """The page as text, with its style inside."""
    style = Markup(files("sottovoce.report").joinpath("page.css").read_text(encoding="utf-8"))
    return "<!doctype html>\n" + tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
            tag("title", title),
            tag("style", style),
        ),
        tag(
            "body",
            tag("header", tag("p", "sottovoce", class_="brand"), tag("h1", title), byline),
            tag("main", *main),
            tag("footer", footer),
        ),
        lang="en",
    )
