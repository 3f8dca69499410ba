"""A linear axis with round ticks."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from sottovoce.report.markup import Markup, join, tag


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, and its evenly spaced round ticks within."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Where `value` lies, 0 at the axis' start and 1 at its end."""
        return (value - self.low) / (self.high - self.low)

    def percent(self, value: float) -> str:
        """`share` as an SVG length, which keeps its place when the figure is made narrower."""
        return f"{100 * self.share(value):.3f}%"


def rounded_axis(values: Iterable[float], intervals: int = 4) -> Axis:
    """The axis that covers all values and starts and ends at a tick; about `intervals` apart."""
    values = tuple(values)
    low, high = min(values), max(values)
    step = _round_step((high - low) or abs(high) or 1.0, intervals)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(k * step, 12) for k in range(first, max(last, first + 1) + 1))
    return Axis(ticks[0], ticks[-1], ticks)


def exact_axis(high: float, intervals: int = 4) -> Axis:
    """The axis from 0 to exactly `high`, which is above 0."""
    step = _round_step(high, intervals)
    return Axis(0, high, tuple(k * step for k in range(int(high / step + 1e-9) + 1)))


def _round_step(width: float, intervals: int) -> float:
    """The least of 1, 2, 5 times a power of ten that needs no more than about `intervals`."""
    power = 10.0 ** math.floor(math.log10(width / intervals))
    return power * next(k for k in (1, 2, 5, 10) if power * k * intervals >= 0.9 * width)


def grid_lines(axis: Axis, height: int) -> Markup:
    """Vertical lines at the ticks of a horizontal axis, `height` pixels tall."""
    return join(
        *(
            tag("line", class_="grid", x1=axis.percent(t), x2=axis.percent(t), y1=0, y2=height)
            for t in axis.ticks
        )
    )


def tick_labels(axis: Axis, texts: Iterable[str], y: int) -> Markup:
    """The ticks' labels under a horizontal axis, kept inside the figure at both ends."""
    return join(
        *(
            tag(
                "text",
                text,
                class_="tick",
                x=axis.percent(tick),
                y=y,
                text_anchor=_anchor(axis.share(tick)),
            )
            for tick, text in zip(axis.ticks, texts, strict=True)
        )
    )


def _anchor(share: float) -> str:
    if share < 0.03:
        return "start"
    return "end" if share > 0.97 else "middle"
