"""The README's chart: word error rate against bytes, as SVG for light and dark pages."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.rows import RESULTS, read_rows
from benchmarks.three_bits.run import MAIN
from sottovoce.report.markup import Markup, tag
from sottovoce.reproduction.table import INPUT

FILE = RESULTS / "wer-against-bytes.svg"
_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 44, 44
LEAST_MB, MOST_MB = 1.0, 13.0
LEAST_WER, MOST_WER = 0.13, 0.21
_GREY = "#808b98"
COLOURS = {
    "sottovoce compress": "#2f81f7",
    "sottovoce quantize": "#2da44e",
    "other tools": "#d9822b",
    "input checkpoint": _GREY,
}
"""Mid-tones: each has enough contrast on white and on black."""


@dataclass(frozen=True)
class Point:
    """A system.

    Attributes:
        label: written beside it.
        wer: fraction of dev words; `interval` is where 95% of the change against the input
            checkpoint's lies, None where it is not known.
    """

    kind: str
    label: str
    megabytes: float
    wer: float
    interval: tuple[float, float] | None = None


def points() -> Iterator[Point]:
    """The systems in the results, of the same checkpoint and dev speech."""
    start = MAIN.rows[INPUT]
    yield Point("input checkpoint", "float32", start.bytes / 1e6, start.wer["dev"])
    for row in read_rows(RESULTS / "peers.json"):
        if "refused" not in row:
            ours = row["system"].startswith("sottovoce mixed, ")
            name = row["system"].removeprefix("sottovoce mixed, ").split(",")[0]
            kind = "sottovoce quantize" if ours else "other tools"
            yield Point(kind, name, row["bytes"] / 1e6, row["wer"])
    for test in MAIN.tests:
        name = test.candidate[0]
        if test.baseline == (INPUT,) and name.startswith("default") and "seed" not in name:
            result, change = MAIN.rows[name], test.interval
            base = start.wer["dev"]
            interval = None if change is None else (base * (1 + change[0]), base * (1 + change[1]))
            label = name.removeprefix("default-").replace("-cnn-8", "*")
            megabytes = result.bytes / 1e6
            yield Point("sottovoce compress", label, megabytes, result.wer["dev"], interval)


def chart() -> str:
    """The SVG."""
    start = next(iter(points()))
    level = _y(start.wer)
    marks = [
        tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=level, y2=level, stroke=_GREY, **_DASHED),
        *_marks(),
    ]
    about = (
        "Dev word error rate against megabytes of one wav2vec 2.0 recogniser, by sottovoce and by "
        "other tools"
    )
    return (
        tag(
            "svg",
            tag("title", about),
            *_axes(),
            *_legend(),
            *marks,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
            font_family="system-ui, sans-serif",
            font_size=12,
            fill=_GREY,
        )
        + "\n"
    )


_DASHED = {"stroke_dasharray": "4 4", "stroke_opacity": 0.7}


def _x(megabytes: float) -> float:
    share = math.log(megabytes / LEAST_MB) / math.log(MOST_MB / LEAST_MB)
    return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)


def _y(wer: float) -> float:
    share = (wer - LEAST_WER) / (MOST_WER - LEAST_WER)
    return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)


def _marks() -> Iterator[Markup]:
    """Labels lie above the points of others and below ours, or where another is in the way."""
    last = 0.0
    for point in sorted(points(), key=lambda one: one.megabytes):
        ours = point.kind == "sottovoce compress"
        crowded = point.kind == "other tools" and point.megabytes < 1.02 * last
        yield from _mark(point, below=ours or crowded)
        if point.kind == "other tools":
            last = point.megabytes


def _mark(point: Point, *, below: bool) -> Iterator[Markup]:
    colour, x, y = COLOURS[point.kind], _x(point.megabytes), _y(point.wer)
    told = f"{point.kind}, {point.label}: {100 * point.wer:.2f}% in {point.megabytes:.2f} MB"
    if point.interval is not None:
        low, high = map(_y, point.interval)
        yield tag("line", x1=x, x2=x, y1=low, y2=high, stroke=colour, stroke_opacity=0.5)
    yield tag("circle", tag("title", told), cx=x, cy=y, r=4, fill=colour)
    if point.kind != "sottovoce quantize":
        turned = f"rotate({55 if below else -40} {x} {y})"
        about = {"x": x + 8, "y": y + 3, "font_size": 10, "fill": colour, "transform": turned}
        yield tag("text", point.label, **about)


def _axes() -> Iterator[Markup]:
    bottom = _HEIGHT - _BOTTOM
    for megabytes in (1, 1.5, 2, 3, 4, 6, 8, 12):
        x = _x(megabytes)
        yield tag("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, stroke=_GREY)
        yield tag("text", f"{megabytes:g}", x=x, y=bottom + 18, text_anchor="middle")
    for percent in range(round(100 * LEAST_WER), round(100 * MOST_WER) + 1):
        y = _y(percent / 100)
        yield tag("line", x1=_LEFT - 4, x2=_LEFT, y1=y, y2=y, stroke=_GREY)
        yield tag("text", f"{percent}%", x=_LEFT - 8, y=y + 4, text_anchor="end")
    yield tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=bottom, y2=bottom, stroke=_GREY)
    yield tag("line", x1=_LEFT, x2=_LEFT, y1=_TOP, y2=bottom, stroke=_GREY)
    told = (
        "MB (log). compress trains, the rest do not. Bars: 95% interval of the change against the "
        "input. *: CNNs at 8 bits"
    )
    yield tag("text", told, x=_WIDTH - _RIGHT, y=_HEIGHT - 8, text_anchor="end")


def _legend() -> Iterator[Markup]:
    yield tag("text", "dev WER", x=8, y=16)
    x = _LEFT + 40
    for kind, colour in COLOURS.items():
        yield tag("circle", cx=x, cy=12, r=4, fill=colour)
        yield tag("text", kind, x=x + 9, y=16)
        x += 30 + 7 * len(kind)
