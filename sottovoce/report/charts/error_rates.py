"""A dot for each system's word error rate and a whisker for its 95% interval."""

from collections.abc import Sequence

from sottovoce.record import System
from sottovoce.report import numbers
from sottovoce.report.charts.axis import Axis, grid_lines, rounded_axis, tick_labels
from sottovoce.report.markup import Markup, join, tag

HEIGHT = 22


def error_rate_whiskers(systems: Sequence[System]) -> Markup:
    """One line a system on a common axis; the first system's rate is drawn through all of them."""
    axis = rounded_axis(
        rate for system in systems for rate in (system.low, system.wer, system.high)
    )
    return tag(
        "div",
        *(
            _row(system, axis, systems[0].wer, "after" if system is systems[-1] else "before")
            for system in systems
        ),
        tag(
            "svg",
            tick_labels(axis, (f"{round(100 * tick, 9):g}%" for tick in axis.ticks), y=12),
            height=16,
            aria_hidden="true",
        ),
        class_="rows",
    )


def _row(system: System, axis: Axis, reference: float, kind: str) -> Markup:
    middle = HEIGHT // 2
    rate = (
        f"{numbers.percent(system.wer)}, 95% interval {numbers.interval(system.low, system.high)}"
    )
    low, high, centre = map(axis.percent, (system.low, system.high, system.wer))
    return join(
        tag(
            "div",
            tag("span", system.name),
            tag("span", numbers.percent(system.wer), class_="value"),
            class_="row",
        ),
        tag(
            "svg",
            tag("title", f"{system.name}: {rate}"),
            grid_lines(axis, HEIGHT),
            tag(
                "line",
                class_="reference",
                x1=axis.percent(reference),
                x2=axis.percent(reference),
                y1=0,
                y2=HEIGHT,
            ),
            tag("line", class_=f"whisker {kind}", x1=low, x2=high, y1=middle, y2=middle),
            *(
                tag("line", class_=f"whisker {kind}", x1=end, x2=end, y1=middle - 5, y2=middle + 5)
                for end in (low, high)
            ),
            tag("circle", class_=f"dot {kind}", cx=centre, cy=middle, r=5.5),
            height=HEIGHT,
            role="img",
            aria_label=f"{system.name}: {rate}",
        ),
    )
