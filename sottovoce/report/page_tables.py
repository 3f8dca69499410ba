"""The page's tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sottovoce.record import Comparison, StoredLayer, System, TriedSize
from sottovoce.report import numbers
from sottovoce.report.badge import badge
from sottovoce.report.markup import Markup, tag
from sottovoce.report.system_cells import HEADINGS, cells_of


def systems_table(systems: Sequence[System]) -> Markup:
    """Everything known of each system."""
    return table(
        (*HEADINGS, "!subst.", "!del.", "!ins.", "!words"),
        (
            (
                *cells_of(system, systems[0]),
                numbers.count(system.substitutions),
                numbers.count(system.deletions),
                numbers.count(system.insertions),
                numbers.count(system.words),
            )
            for system in systems
        ),
    )


def comparisons_table(comparisons: Sequence[Comparison]) -> Markup:
    """The tests, one a line."""
    return table(
        ("compressed against", "verdict", "test", "!segments", "!Z", "!p", "!detectable loss"),
        (
            (
                comparison.baseline,
                badge(comparison.verdict),
                comparison.test,
                numbers.count(comparison.segments),
                numbers.z_score(comparison.z),
                numbers.p_value(comparison.p),
                detectable(comparison.detectable),
            )
            for comparison in comparisons
        ),
    )


def detectable(loss: float | None) -> str:
    """The smallest relative loss a test would have found, or a dash where it has none."""
    return "—" if loss is None else numbers.percent(loss, 1)


def layers_table(layers: Sequence[StoredLayer]) -> Markup:
    """The plan, layer by layer."""
    return table(
        ("layer", "!shape", "!bits", "grid", "a scale per", "!input bits", "!size"),
        (
            (
                tag("code", row.layer),
                f"{row.shape[0]} × {row.shape[1]}",
                row.bits,
                row.grid,
                row.granularity,
                numbers.input_bits(row.input_bits),
                numbers.size(row.bytes),
            )
            for row in layers
        ),
    )


def tried_table(tried: Sequence[TriedSize]) -> Markup:
    """The sizes that the autopilot tried, in their order."""
    return table(
        (
            *("!bits", "!effective", "!size", "!WER", "!errors", "!p"),
            *("verdict", "passed", "other part", "!time"),
        ),
        (
            (
                numbers.bits(size.bits),
                "" if size.effective_bits is None else numbers.bits(size.effective_bits),
                numbers.size(size.bytes),
                numbers.percent(size.wer),
                f"{100 * size.change:+.1f}%",
                numbers.p_value(size.p),
                badge(size.verdict),
                "yes" if size.passed else "no",
                badge(size.judged) if size.judged else "",
                numbers.duration(size.seconds),
            )
            for size in tried
        ),
    )


def recipe_table(recipe: Mapping[str, Any]) -> Markup:
    """The options; those of a nested table are written `table.option`."""
    return tag(
        "dl",
        *(
            tag("div", tag("dt", name), tag("dd", _option(value)))
            for name, value in flattened(recipe).items()
        ),
        class_="options",
    )


def flattened(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested recipe as one level of dotted names."""
    flat: dict[str, Any] = {}
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _option(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_option, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def table(headings: Sequence[str], lines: Iterable[Sequence[object]]) -> Markup:
    """A table that scrolls sideways where it must; "!" before a heading makes a number column."""
    classes = ["number" if heading.startswith("!") else None for heading in headings]
    return tag(
        "div",
        tag(
            "table",
            tag(
                "thead",
                tag(
                    "tr",
                    *(
                        tag("th", heading.removeprefix("!"), scope="col", class_=kind)
                        for heading, kind in zip(headings, classes, strict=True)
                    ),
                ),
            ),
            tag(
                "tbody",
                *(
                    tag(
                        "tr",
                        *(
                            tag("td", cell, class_=kind)
                            for cell, kind in zip(line, classes, strict=True)
                        ),
                    )
                    for line in lines
                ),
            ),
        ),
        class_="scroll",
        tabindex=0,
    )
