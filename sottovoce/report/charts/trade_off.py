"""Error rate against size: a dot for each system, low and left is better."""

from collections.abc import Sequence
from dataclasses import dataclass

from sottovoce.report import numbers
from sottovoce.report.charts.axis import Axis, grid_lines, rounded_axis, tick_labels
from sottovoce.report.markup import Markup, join, tag

HEIGHT = 320


@dataclass(frozen=True)
class Spot:
    """A system in the plot: its size in bytes, its rate as a fraction; `full` if not compressed."""

    name: str
    bytes: int
    wer: float
    full: bool


def trade_off(spots: Sequence[Spot]) -> Markup:
    """The plot; sizes in megabytes along the bottom."""
    across = rounded_axis((*(spot.bytes / 1e6 for spot in spots), 0.0), intervals=8)
    up = rounded_axis((spot.wer for spot in spots), intervals=6)
    return tag(
        "div",
        tag(
            "svg",
            grid_lines(across, HEIGHT),
            *(_level(up, rate) for rate in up.ticks),
            *(_dot(spot, across, up) for spot in spots),
            tick_labels(across, (f"{tick:g} MB" for tick in across.ticks), y=HEIGHT + 18),
            height=HEIGHT + 24,
            role="img",
            aria_label="Word error rate against size on disk",
        ),
        class_="plot",
    )


def _height(axis: Axis, rate: float) -> float:
    return HEIGHT * (1 - axis.share(rate))


def _level(axis: Axis, rate: float) -> Markup:
    y = _height(axis, rate)
    return join(
        tag("line", class_="grid", x1="0%", x2="100%", y1=y, y2=y),
        tag("text", f"{round(100 * rate, 9):g}%", class_="tick", x=-8, y=y + 4, text_anchor="end"),
    )


def _dot(spot: Spot, across: Axis, up: Axis) -> Markup:
    x, y = across.percent(spot.bytes / 1e6), _height(up, spot.wer)
    description = f"{spot.name}: {numbers.size(spot.bytes)}, WER {numbers.percent(spot.wer)}"
    return join(
        tag(
            "circle",
            tag("title", description),
            class_=f"dot {'before' if spot.full else 'after'}",
            cx=x,
            cy=y,
            r=4.5,
        ),
        tag("text", spot.name, class_="tick", x=x, y=y - 8, text_anchor="middle"),
    )
