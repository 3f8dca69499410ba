"""Bars of the systems' sizes, split into the encoder's matrices and all the rest."""

from collections.abc import Sequence

from sottovoce.record import System
from sottovoce.report import numbers
from sottovoce.report.charts.legend import swatches
from sottovoce.report.markup import Markup, join, tag

HEIGHT = 16


def size_bars(systems: Sequence[System], weights: int) -> Markup:
    """One bar a system; `weights` is how many weights the encoder's matrices have."""
    largest = max(system.bytes for system in systems)
    return tag(
        "div",
        swatches(("encoder", "encoder matrices"), ("rest", "everything else")),
        *(_row(system, weights, largest) for system in systems),
        class_="rows",
    )


def _row(system: System, weights: int, largest: int) -> Markup:
    encoder = min(round(system.effective_bits * weights / 8), system.bytes)
    return join(
        tag(
            "div",
            tag("span", system.name),
            tag("span", numbers.size(system.bytes), class_="value"),
            class_="row",
        ),
        tag(
            "svg",
            _bar("encoder", 0, encoder / largest, f"encoder matrices: {numbers.size(encoder)}"),
            _bar(
                "rest",
                encoder / largest,
                (system.bytes - encoder) / largest,
                f"everything else: {numbers.size(system.bytes - encoder)}",
            ),
            height=HEIGHT,
            role="img",
            aria_label=f"{system.name}: {numbers.size(system.bytes)}",
        ),
    )


def _bar(part: str, start: float, width: float, title: str) -> Markup:
    return tag(
        "rect",
        tag("title", title),
        class_=part,
        x=f"{100 * start:.3f}%",
        width=f"{100 * width:.3f}%",
        height=HEIGHT,
    )
