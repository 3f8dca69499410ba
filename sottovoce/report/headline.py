"""The top of the page: the verdict as a sentence, and the figures that matter most."""

from sottovoce.record import RunRecord, System
from sottovoce.report import numbers
from sottovoce.report.badge import badge
from sottovoce.report.markup import Markup, join, tag
from sottovoce.report.verdict import headline


def verdict_block(record: RunRecord) -> Markup:
    """The least favourable verdict large, with what its test could have found; the others small."""
    leading = headline(record.comparisons)
    if leading is None:
        return tag("div", tag("p", "Nothing was compared.", class_="sentence"), class_="verdict")
    return tag(
        "div",
        tag("p", badge(leading.verdict), f" against: {leading.baseline}", class_="against"),
        tag("p", leading.sentence, class_="sentence"),
        None
        if leading.detectable is None
        else tag(
            "p",
            "Smallest loss this test could have detected: ",
            tag("strong", f"{numbers.percent(leading.detectable, 1)} relative"),
            f", that is {_points(record, leading.baseline, leading.detectable)}.",
        ),
        *(
            tag(
                "p",
                badge(comparison.verdict),
                f" against: {comparison.baseline}. ",
                comparison.sentence,
            )
            for comparison in record.comparisons
            if comparison is not leading
        ),
        class_=f"verdict {leading.verdict}",
    )


def _points(record: RunRecord, baseline: str, relative: float) -> str:
    rate = next(system.wer for system in record.systems if system.name == baseline)
    return f"{100 * rate * relative:.2f} points of word error rate"


def key_figures(record: RunRecord) -> Markup:
    """Size, ratio, bits and word error rate, before and after."""
    before, after = record.systems[0], record.systems[-1]
    return tag(
        "dl",
        _figure(
            "Size",
            _step(numbers.size(before.bytes), numbers.size(after.bytes)),
            f"{numbers.count(after.bytes)} bytes on disk",
        ),
        _figure(
            "Compression",
            numbers.ratio(before.bytes / after.bytes),
            f"{numbers.percent(1 - after.bytes / before.bytes, 1)} of the bytes saved",
        ),
        _figure(
            "Bits of a weight",
            numbers.bits(after.nominal_bits),
            f"{numbers.bits(after.effective_bits)} with scales and padding counted",
        ),
        _figure(
            "Word error rate",
            _step(numbers.percent(before.wer), numbers.percent(after.wer)),
            join(_interval("before", before), tag("br"), _interval("after", after)),
        ),
        class_="figures",
    )


def _figure(name: str, value: object, detail: object) -> Markup:
    return tag(
        "div", tag("dt", name), tag("dd", value, class_="big"), tag("dd", detail, class_="detail")
    )


def _step(before: str, after: str) -> Markup:
    return join(tag("span", before, " → ", class_="was"), tag("span", after))


def _interval(when: str, system: System) -> str:
    return f"{when} {numbers.interval(system.low, system.high)} (95%)"
