"""What an update costs."""

from statistics import median

from benchmarks.cells import NOT_MEASURED, table
from benchmarks.rows import RESULTS, read_rows
from benchmarks.step_cost.run import METHODS, MOST_MEMORY
from sottovoce.wording import plural

_TIME_BARS = {one.name: str(one.most_time) for one in METHODS if one.recipe}


def answer() -> str:
    """In a sentence."""
    rows = read_rows(RESULTS / "step_cost.json")
    rounds = [row["seconds"] for row in rows if row["measured"] == "round"]
    times = {
        method.name: median(each[method.name] / each[METHODS[0].name] for each in rounds)
        for method in METHODS
    }
    return (
        f"{times['no KL']:.2f} times an update of plain fine-tuning, "
        f"{times['cached teacher']:.2f} with a cached teacher; xu2025's sampled and full KL "
        f"{times['sampled KL']:.1f} and {times['all students']:.1f} times."
    )


def page() -> str:
    """In Markdown."""
    title = (
        "# Cost of a training update\n\n`python -m benchmarks.step_cost.run`: wav2vec2-base shape, "
        "about 100 s of audio an update, front end frozen, against plain full-precision "
        "fine-tuning, interleaved in one run, medians over the rounds."
    )
    rows = read_rows(RESULTS / "step_cost.json")
    rounds = [row["seconds"] for row in rows if row["measured"] == "round"]
    if not rounds:
        return f"{title}\n\n{NOT_MEASURED}"
    peaks = {row["method"]: row["bytes"] for row in rows if row["measured"] == "memory"}
    parts = {row["method"]: row["seconds"] for row in rows if row["measured"] == "parts"}
    first = METHODS[0].name
    lines = [
        [
            method,
            f"{median(each[method] for each in rounds):.1f}",
            f"{median(each[method] / each[first] for each in rounds):.2f}",
            _TIME_BARS.get(method, ""),
            f"{peaks[method] / 1e9:.1f}" if method in peaks else "",
            f"{peaks[method] / peaks[first]:.2f}" if {method, first} <= peaks.keys() else "",
            "" if method == first else str(MOST_MEMORY),
            ", ".join(f"{part} {spent:.1f}" for part, spent in parts.get(method, {}).items()),
        ]
        for method in (one.name for one in METHODS)
    ]
    headings = ["method", "s", "times full precision", "bar", "peak GB", "times", "bar", "parts, s"]
    machine = rows[0]["machine"]
    about = (
        f"{plural(len(rounds), 'round')}, each begun with another method; {machine['processor']}, "
        f"{plural(machine['threads'], 'thread')}."
    )
    return f"{title}\n\n{about}\n\n{table(headings, lines)}"
