"""Rows of later runs join those that are kept."""

import json
from typing import Any

from benchmarks.kept_tables import merged
from benchmarks.papers.run import TABLES as PAPERS
from benchmarks.results_page import KEPT
from sottovoce.reproduction.page import markdown_page, read_record


def row(name: str, wer: float, **more: Any) -> dict[str, Any]:
    return {"name": name, "wer": {"dev": wer}, **more}


def pair(candidate: str, p: float) -> dict[str, Any]:
    sides = {"candidate": [candidate], "baseline": ["U1"]}
    return {"claim": "c", "expected": "better", **sides, "p": p}


def test_what_is_kept_stays_and_new_rows_and_pairs_join() -> None:
    kept = {
        "title": "old",
        "rows": [row("input", 0.1), row("U1", 0.2), row("a", 0.3)],
        "pairs": [pair("a", 0.5)],
        "failures": {"b": "it was not finite"},
    }
    new = {
        "title": "new",
        "rows": [row("input", 0.1), row("U1", 0.25), row("b", 0.4, processor="another")],
        "pairs": [pair("a", 0.6), pair("b", 0.7)],
        "failures": {},
    }
    assert merged(kept, new) == {
        "title": "new",
        "rows": [row("input", 0.1), row("U1", 0.2), row("a", 0.3), new["rows"][2]],
        "pairs": [pair("a", 0.5), pair("b", 0.7)],
        "failures": {},
    }


def test_rows_without_a_processor_say_so_beside_those_that_have_one() -> None:
    kept = PAPERS[0]
    record = json.loads(kept.file.read_text())
    assert "processor" not in markdown_page(read_record(record, kept.table))
    record["rows"][-1]["processor"] = "a processor"
    page = markdown_page(read_record(record, kept.table))
    assert page.count("| a processor |") == 1
    assert page.count("| not recorded |") == len(record["rows"]) - 2


def test_every_kept_row_and_pair_is_declared_in_its_table() -> None:
    for kept in KEPT:
        assert set(kept.rows) - {"input"} <= set(kept.wanted), kept.name
        assert {test.pair for test in kept.tests} <= set(kept.table.pairs), kept.name
