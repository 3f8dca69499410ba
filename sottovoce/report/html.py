"""The report of a run: one HTML page that needs no network and no other file."""

from collections.abc import Sequence
from pathlib import Path

from sottovoce.files import write_text
from sottovoce.record import RunRecord, TriedSize
from sottovoce.report import numbers, word_diff
from sottovoce.report.charts.bit_map import bit_map, width_shares
from sottovoce.report.charts.curves import training_curves
from sottovoce.report.charts.error_rates import error_rate_whiskers
from sottovoce.report.charts.legend import swatches
from sottovoce.report.charts.sizes import size_bars
from sottovoce.report.document import document
from sottovoce.report.headline import key_figures, verdict_block
from sottovoce.report.layers import cnns_sentence, share_of
from sottovoce.report.markup import Markup, join, tag
from sottovoce.report.page_tables import (
    comparisons_table,
    layers_table,
    recipe_table,
    systems_table,
    tried_table,
)
from sottovoce.wording import plural

MOST_UTTERANCES = 40


def write_report(record: RunRecord, path: Path) -> None:
    """Write the report of a run to `path`, whole or not at all.

    Raises:
        InputError: `path` cannot be written.
    """
    write_text(path, page(record))


def page(record: RunRecord) -> str:
    """The report as text, with its style and figures inside."""
    return document(
        f"{record.source_name}, compressed",
        _byline(record),
        (verdict_block(record), key_figures(record), *_sections(record)),
        _provenance(record),
    )


def _byline(record: RunRecord) -> Markup:
    words = plural(record.systems[-1].words, "word")
    return tag("p", f"Evaluated on {record.evaluated_on}, {words}", class_="byline")


def _sections(record: RunRecord) -> tuple[Markup | None, ...]:
    return (
        tag("div", _sizes(record), _error_rates(record), class_="pair"),
        _section("All systems", systems_table(record.systems)),
        _bits(record),
        _training(record),
        _got_worse(record),
        _section("Comparisons", comparisons_table(record.comparisons)),
        _tried(record),
        _section("Recipe", recipe_table(record.recipe)),
        _section("Command", tag("pre", tag("code", record.command), tabindex=0)),
        _notes(record),
    )


def _section(heading: str, *children: object) -> Markup:
    return tag("section", tag("h2", heading), *children)


def _lead(*children: object) -> Markup:
    return tag("p", *children, class_="lead")


def _sizes(record: RunRecord) -> Markup:
    return _section(
        "Size on disk", size_bars(record.systems, weights=share_of(record.layers).weights)
    )


def _error_rates(record: RunRecord) -> Markup:
    resampled_by = record.systems[-1].resampled_by
    return _section(
        "Word error rate",
        swatches(
            ("interval", f"95% interval, resampled by {resampled_by}"),
            ("reference", "input's rate"),
        ),
        error_rate_whiskers(record.systems),
    )


def _bits(record: RunRecord) -> Markup:
    return _section(
        "Bits per layer",
        _lead("Every cell is one weight matrix of the encoder. Depth 0 is nearest to the sound."),
        tag(
            "div",
            tag("div", bit_map(record.layers), class_="map"),
            width_shares(record.layers),
            class_="plan",
        ),
        _lead(cnns_sentence(record)),
        tag(
            "details",
            tag("summary", "Every layer as a table"),
            layers_table((*record.layers, *record.cnns)),
        ),
    )


def _training(record: RunRecord) -> Markup:
    if not record.history:
        return _section("Training", _lead("No training was recorded in this run."))
    last = record.history[-1]
    return _section(
        "Training",
        _lead(f"{plural(last.step, 'step')} in {numbers.duration(last.seconds)}."),
        training_curves(record.history),
    )


def _got_worse(record: RunRecord) -> Markup:
    heading = "Utterances that got worse"
    if not record.got_worse:
        return _section(heading, _lead("No utterance has more errors than before."))
    shown = record.got_worse[:MOST_UTTERANCES]
    left_out = len(record.got_worse) - len(shown)
    return _section(
        heading,
        word_diff.legend(),
        *map(word_diff.change_diff, shown),
        _lead(f"{numbers.count(left_out)} more in metrics.json.") if left_out else None,
    )


def _tried(record: RunRecord) -> Markup | None:
    if not record.tried:
        return None
    return _section(
        "How the size was found",
        _lead(
            "Each size is a compression of its own from the input checkpoint. It was decided on "
            "other utterances than those that the verdict above is given on"
            f"{_rejected(record.tried)}."
        ),
        tried_table(record.tried),
    )


def _rejected(tried: Sequence[TriedSize]) -> str:
    worse = sum(size.judged == "worse" for size in tried)
    if not worse:
        return ""
    return (
        f"; these called {plural(worse, 'smaller size')} worse before, so that what they would "
        "have found is told for a higher power"
    )


def _notes(record: RunRecord) -> Markup | None:
    if not record.notes:
        return None
    return _section("Notes", tag("ul", *(tag("li", note) for note in record.notes)))


def _provenance(record: RunRecord) -> Markup:
    return tag(
        "p",
        join(
            f"sottovoce {record.version}, {record.created}. Compressed from {record.source} on ",
            f"{record.device} in {numbers.duration(record.seconds)}.",
        ),
    )
