"""What stands in a table's pages."""

from dataclasses import replace
from pathlib import Path

import pytest

from sottovoce.reproduction.page import TableState, write_pages
from sottovoce.reproduction.results import ALL, Result
from sottovoce.reproduction.table import INPUT, Published, read_table

OWN = """
baseline = "U1"
[[rows]]
name = "U1"
system = "full precision"
method = "finetune"
"""


@pytest.mark.parametrize("told", [True, False])
def test_a_paper_has_columns_where_there_is_one(tmp_path: Path, told: bool) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    table = read_table(str(tmp_path / "own.toml"))
    if told:
        table = replace(table, rows=(replace(table.rows[0], paper=Published(hours=2.0)),))
    figures = {"bits": 32.0, "effective_bits": 32.0, "bytes": 4, "ratio": 1.0, "seconds": 0.0}
    start = Result(
        **figures,
        name=INPUT,
        cpu_seconds=None,
        wer={"dev": 0.1, ALL: 0.1},
        verdicts={},
        p=None,
        command="",
    )
    write_pages(TableState(table, (start,), ("dev",), ("dev",), {}), tmp_path)
    for page in ("table.md", "table.html"):
        assert ("paper: ratio" in (tmp_path / page).read_text()) == told
        assert ("What the paper printed" in (tmp_path / page).read_text()) == told
