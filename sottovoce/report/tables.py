"""Tables for the terminal."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from sottovoce.record import RunRecord, StoredLayer, TriedSize
from sottovoce.report import numbers
from sottovoce.report.layers import share_of
from sottovoce.report.verdict import MARKS
from sottovoce.wording import plural

COLOURS = {"worse": "red", "inconclusive": "yellow", "lossless": "green", "better": "blue"}


def summary_table(record: RunRecord) -> Table:
    """A line a system: size, bits, word error rate, and the compressed one's verdict against it."""
    table = _table("system")
    for heading in ("size", "ratio", "bits", "WER", "95% interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("compressed is")
    verdicts = {comparison.baseline: comparison.verdict for comparison in record.comparisons}
    for system in record.systems:
        table.add_row(
            Text(system.name),
            numbers.size(system.bytes),
            numbers.ratio(record.systems[0].bytes / system.bytes),
            numbers.bits(system.nominal_bits),
            numbers.percent(system.wer),
            numbers.interval(system.low, system.high),
            _verdict(verdicts.get(system.name)),
        )
    return table


def tried_table(tried: Sequence[TriedSize]) -> Table:
    """The autopilot's way to the size, a line a size in the order in which they were tried."""
    table = _table("tried")
    for heading in ("effective", "size", "WER", "errors", "p", "passed", "other part"):
        table.add_column(heading, justify="right", no_wrap=True)
    for size in tried:
        table.add_row(
            f"{size.bits:g} bits",
            "" if size.effective_bits is None else numbers.bits(size.effective_bits),
            numbers.size(size.bytes),
            numbers.percent(size.wer),
            f"{100 * size.change:+.1f}%",
            numbers.p_value(size.p),
            "yes" if size.passed else "no",
            size.judged or "",
        )
    return table


def plan_table(layers: Sequence[StoredLayer]) -> Table:
    """A line a layer, and below them the sums: weights, mean nominal bits and bytes."""
    whole = share_of(layers)
    table = _table("layer", footer=plural(whole.layers, "layer"))
    table.add_column("shape", justify="right", footer=plural(whole.weights, "weight"))
    table.add_column("bits", justify="right", footer=numbers.bits(whole.nominal_bits))
    table.add_column("grid")
    table.add_column("a scale per")
    table.add_column("inputs", justify="right")
    table.add_column("size", justify="right", footer=numbers.size(whole.bytes))
    effective = f"{numbers.bits(whole.effective_bits)} bits with scales and padding counted"
    table.caption = f"all of these layers: {numbers.bits(whole.nominal_bits)} bits, {effective}"
    for row in layers:
        table.add_row(
            Text(row.layer),
            f"{row.shape[0]} × {row.shape[1]}",
            numbers.bits(row.bits),
            Text(row.grid),
            Text(row.granularity),
            numbers.input_bits(row.input_bits),
            numbers.size(row.bytes),
        )
    return table


def _table(first: str, footer: str = "") -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_footer=bool(footer))
    table.add_column(first, footer=footer, overflow="fold")
    return table


def _verdict(verdict: str | None) -> Text:
    return Text() if verdict is None else Text(f"{MARKS[verdict]} {verdict}", COLOURS[verdict])
