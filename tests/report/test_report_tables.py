from dataclasses import replace
from io import StringIO

from example_record import example_record, with_verdict
from rich.console import Console
from rich.table import Table

from sottovoce.report.layers import share_of
from sottovoce.report.tables import plan_table, summary_table


def printed(table: Table, width: int = 160) -> str:
    out = StringIO()
    Console(file=out, width=width).print(table)
    return out.getvalue()


def test_summary_has_a_line_a_system_with_its_numbers():
    record = with_verdict(example_record(), "better", "inconclusive")
    lines = printed(summary_table(record)).splitlines()[1:]
    for line, system in zip(lines, record.systems, strict=True):
        assert line.startswith(system.name)
        assert f"{system.bytes / 1e6:.1f} MB" in line
        assert f"{100 * system.wer:.2f}%" in line
        assert f"{100 * system.low:.2f}–{100 * system.high:.2f}%" in line
    assert lines[0].rstrip().endswith("★ better")
    assert lines[1].rstrip().endswith("? inconclusive")


def test_summary_fits_a_common_terminal():
    for line in printed(summary_table(example_record()), width=100).splitlines()[1:]:
        assert line.count("%") == 2, "a system took more than one line"


def test_plan_has_a_line_a_layer_and_the_sums_below():
    layers = example_record(depth=3).layers
    lines = printed(plan_table(layers)).splitlines()
    for line, row in zip(lines[1:], layers, strict=False):
        assert line.split()[:5] == [
            row.layer,
            str(row.shape[0]),
            "×",
            str(row.shape[1]),
            str(row.bits),
        ]
    whole = share_of(layers)
    weights = sum(rows * columns for rows, columns in (row.shape for row in layers))
    sums = lines[1 + len(layers)]
    assert f"{len(layers)} layers" in sums
    assert f"{weights:,} weights" in sums
    assert f"{sum(row.bytes for row in layers) / 1e6:.1f} MB" in sums
    assert f"{whole.nominal_bits:.2f}".removesuffix(".00") in sums
    assert f"{round(whole.effective_bits, 2):g} bits with scales" in printed(plan_table(layers))


def test_plan_says_what_goes_into_a_layer():
    first, second, *_ = example_record(depth=1).layers
    lines = printed(plan_table((first, replace(second, input_bits=8)))).splitlines()
    assert "inputs" in lines[0]
    assert [line.split()[-3] for line in lines[1:3]] == ["float", "8"]


def test_a_narrow_terminal_cuts_no_layers_name():
    (row, *_) = layers = example_record(depth=1).layers
    pieces = [line.split(" ")[0] for line in printed(plan_table(layers), width=80).splitlines()]
    assert row.layer in "".join(pieces)


def test_an_empty_plan_is_a_table_of_nothing():
    assert "0 layers" in printed(plan_table(()))
