"""Training curves: one small panel a quantity, all over the same steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sottovoce.record import TrainingPoint
from sottovoce.report import numbers
from sottovoce.report.charts.axis import Axis, exact_axis, grid_lines, rounded_axis, tick_labels
from sottovoce.report.charts.legend import swatches
from sottovoce.report.markup import Markup, join, tag

HEIGHT = 150
MOST_POINTS = 240
MOST_DOTS = 40

Measure = Callable[[TrainingPoint], float | None]
Written = Callable[[float], str]


@dataclass(frozen=True)
class Line:
    """One curve of a panel: the mark it is drawn with, its name, and what it shows."""

    mark: str
    name: str
    measure: Measure


@dataclass(frozen=True)
class Panel:
    """One small figure: its curves share an axis, whose numbers `written` writes."""

    title: str
    lines: tuple[Line, ...]
    written: Written


PANELS = (
    Panel(
        "Loss, nats a frame",
        (Line("curve1", "loss", lambda point: point.loss),),
        lambda value: f"{value:.4g}",
    ),
    Panel(
        "Word error rate of the hard plan, dev set",
        (Line("curve1", "WER", lambda point: point.wer),),
        lambda value: f"{round(100 * value, 2):g}%",
    ),
    Panel(
        "Mean bits of a weight",
        (
            Line("curve2", "expected", lambda point: point.expected_bits),
            Line("curve1", "hard plan", lambda point: point.hard_bits),
        ),
        lambda value: f"{value:.4g}",
    ),
    Panel(
        "Temperature of the Gumbel-softmax",
        (Line("curve1", "temperature", lambda point: point.temperature),),
        lambda value: f"{value:.4g}",
    ),
)


def training_curves(history: Sequence[TrainingPoint]) -> Markup:
    """A panel for everything that was measured at two points or more."""
    frozen = frozen_step(history)
    steps = exact_axis(max(1, *(point.step for point in history)))
    return tag(
        "div",
        *(
            _panel(panel, history, steps, frozen)
            for panel in PANELS
            if any(len(_measured(history, line.measure)) > 1 for line in panel.lines)
        ),
        class_="panels",
    )


def frozen_step(history: Sequence[TrainingPoint]) -> int | None:
    """The first step after the last that had a temperature; None where no search ended."""
    searched = [place for place, point in enumerate(history) if point.temperature is not None]
    if not searched or searched[-1] + 1 == len(history):
        return None
    return history[searched[-1] + 1].step


def _panel(
    panel: Panel, history: Sequence[TrainingPoint], steps: Axis, frozen: int | None
) -> Markup:
    curves = {line: _thinned(_measured(history, line.measure)) for line in panel.lines}
    values = rounded_axis((v for curve in curves.values() for _, v in curve), intervals=3)
    return tag(
        "figure",
        tag("figcaption", panel.title),
        swatches(*((line.mark, line.name) for line in panel.lines))
        if len(panel.lines) > 1
        else None,
        tag(
            "svg",
            grid_lines(steps, HEIGHT),
            _value_axis(values, panel.written),
            tick_labels(steps, (f"{round(tick):,}" for tick in steps.ticks), y=HEIGHT + 16),
            _frozen_mark(steps, frozen),
            tag(
                "svg",
                *(_polyline(line, curve, steps, values) for line, curve in curves.items()),
                viewBox="0 0 1000 1000",
                preserveAspectRatio="none",
                width="100%",
                height=HEIGHT,
                overflow="visible",
            ),
            *(_dots(line, curves[line], steps, values, panel.written) for line in panel.lines),
            class_="plot",
            height=HEIGHT + 20,
            role="img",
            aria_label=_described(panel, curves),
        ),
    )


def _measured(history: Sequence[TrainingPoint], measure: Measure) -> list[tuple[float, float]]:
    measured = ((point.step, measure(point)) for point in history)
    return [(step, value) for step, value in measured if value is not None]


def _thinned(curve: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means of neighbouring points where there are more than a panel can show."""
    group = -(-len(curve) // MOST_POINTS)
    if group <= 1:
        return curve
    groups = [curve[start : start + group] for start in range(0, len(curve), group)]
    return [
        (sum(step for step, _ in some) / len(some), sum(value for _, value in some) / len(some))
        for some in groups
    ]


def _value_axis(values: Axis, written: Written) -> Markup:
    heights = {tick: HEIGHT * (1 - values.share(tick)) for tick in values.ticks}
    return join(
        *(tag("line", class_="grid", x2="100%", y1=y, y2=y) for y in heights.values()),
        *(
            tag("text", written(tick), class_="tick", x=-7, y=y + 4, text_anchor="end")
            for tick, y in heights.items()
        ),
    )


def _frozen_mark(steps: Axis, frozen: int | None) -> Markup | None:
    if frozen is None:
        return None
    x = steps.percent(frozen)
    return tag(
        "g",
        tag("title", f"the plan froze at step {numbers.count(frozen)}"),
        tag("line", class_="frozen", x1=x, x2=x, y1=-4, y2=HEIGHT),
        tag(
            "text",
            "plan frozen",
            class_="frozen",
            x=x,
            y=7,
            dx=-5 if steps.share(frozen) > 0.5 else 5,
            text_anchor="end" if steps.share(frozen) > 0.5 else "start",
        ),
    )


def _polyline(line: Line, curve: list[tuple[float, float]], steps: Axis, values: Axis) -> Markup:
    points = " ".join(
        f"{1000 * steps.share(step):.1f},{1000 * (1 - values.share(value)):.1f}"
        for step, value in curve
    )
    return tag("polyline", tag("title", line.name), class_=f"curve {line.mark}", points=points)


def _dots(
    line: Line, curve: list[tuple[float, float]], steps: Axis, values: Axis, written: Written
) -> Markup | None:
    if len(curve) > MOST_DOTS:
        return None
    return join(
        *(
            tag(
                "circle",
                tag("title", f"step {step:,.0f}: {line.name} {written(value)}"),
                class_=f"dot {line.mark}",
                cx=steps.percent(step),
                cy=HEIGHT * (1 - values.share(value)),
                r=3,
            )
            for step, value in curve
        )
    )


def _described(panel: Panel, curves: dict[Line, list[tuple[float, float]]]) -> str:
    ends = "; ".join(
        f"{line.name} from {panel.written(curve[0][1])} to {panel.written(curve[-1][1])}"
        for line, curve in curves.items()
        if curve
    )
    return f"{panel.title}: {ends}"
