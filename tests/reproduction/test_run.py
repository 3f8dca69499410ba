"""A whole table on a tiny recogniser."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from program import Ended, save_checkpoint, save_speech, sottovoce, write_manifest

from sottovoce.errors import InputError
from sottovoce.loading import is_artifact, load
from sottovoce.report.verdict import MARKS
from sottovoce.reproduction import run
from sottovoce.reproduction.table import read_table
from sottovoce.runtime.processor import processor
from sottovoce.training.run import unfinished
from sottovoce.training.state import locked

TABLE = """
title = "A tiny table"
paper = "nobody's"
tests = ["clean", "other"]
combined = ["clean", "other"]
baseline = "U1"
[[rows]]
name = "O1"
system = "one-pass"
options = { bits = 3, candidates = [2, 4] }
paper = { wer = [1.25, 2.5], all = 2.00, mark = "lossless", ratio = 4.4, hours = 5.0 }
[[rows]]
name = "F1"
system = "two-pass"
options = { bits = 3, candidates = [2, 4], finetune = "learnt", cnn_bits = 8 }
[[rows]]
name = "N1"
system = "two-pass from the start point"
options = { bits = 3, candidates = [2, 4], finetune = "start" }
[[rows]]
name = "theirs"
system = "someone else's"
method = "published"
paper = { ratio = 9.8, change = 0.45 }
[[rows]]
name = "U1"
system = "full precision"
method = "finetune"
paper = { hours = 2.5 }
[[pairs]]
claim = "training helps"
better = ["O1", "F1"]
than = ["input", "U1"]
"""


class _Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table = folder / "mine.toml"
        self.table.write_text(TABLE)
        self.start = save_checkpoint(folder / "start")
        self.train = save_speech(folder / "train", 8)
        self.clean = self.test("clean", 9)
        self.other = self.test("other", 12)

    def test(self, name: str, utterances: int) -> Path:
        """Some other number of utterances has other lengths, and no audio of the training."""
        path = save_speech(self.folder / name, utterances)
        records = [json.loads(line) for line in path.read_text().splitlines()]
        return write_manifest(path, [{**one, "id": f"{name}-{one['id']}"} for one in records[1:]])

    def run(self, *changes: object) -> Ended:
        return sottovoce(
            *("reproduce", self.table, "--checkpoint", self.start, "--train", self.train),
            *("--test", f"clean={self.clean}", "--test", f"other={self.other}"),
            *("--out", self.folder / "out", "--steps", 2, "--seconds-per-batch", 1),
            *("--evaluations", 1, "--learning-rate", 1e-2, *changes),
        )


def test_a_table_is_run_once_and_told_beside_the_papers(
    tmp_path: Path, updates: list[int], one_thread: None
) -> None:
    place = _Place(tmp_path)
    ended = place.run()
    assert ended.status == 0, ended.err
    # U1; O1; Pass 1 with 8-bit CNNs is F1's own; N1 has O1's Pass 1.
    assert len(updates) == 2 + 2 + (2 + 2) + 2
    out = tmp_path / "out"
    assert {path.name for path in (out / "rows").iterdir()} == {"U1", "O1", "F1", "N1"}
    assert is_artifact(out / "rows" / "F1")
    assert load(out / "rows" / "N1").model.config.model_type == "wav2vec2"

    record = json.loads((out / "table.json").read_text())
    rows = {row["name"]: row for row in record["rows"]}
    assert list(rows) == ["input", "U1", "O1", "F1", "N1"]
    for row in rows.values():
        clean, other = row["wer"]["clean"], row["wer"]["other"]
        assert row["wer"]["all"] == pytest.approx((8 * clean + 11 * other) / 19)
    assert rows["U1"]["verdicts"] == {}
    assert set(rows["O1"]["verdicts"]) == {"clean", "other", "all"}
    assert rows["F1"]["ratio"] > rows["N1"]["ratio"] > rows["U1"]["ratio"] == 1
    assert rows["N1"]["seconds"] > rows["O1"]["seconds"] > 0

    assert {row["processor"] for name, row in rows.items() if name != "input"} == {str(processor())}
    assert [(one["candidate"], one["baseline"]) for one in record["pairs"]] == [
        (["O1"], ["input"]),
        (["F1"], ["U1"]),
    ]
    rates = [rows[name]["wer"]["all"] for name in ("O1", "input")]
    assert [rate for (rate,) in record["pairs"][0]["wer"]] == pytest.approx(rates)

    told = (out / "table.md").read_text()
    assert told in ended.out
    cells = [cell.strip() for cell in _line_of("O1", told).strip("|").split("|")]
    assert cells[-5:] == ["1.25 2.50", f"2.00%{MARKS['lossless']}", "", "4.40×", "2.00×"]
    assert (
        cells[6]
        == f"{100 * rows['O1']['wer']['clean']:.2f}%" + (MARKS[rows["O1"]["verdicts"]["clean"]])
    )
    assert "someone else's" in told
    assert "+0.45" in told
    assert "<svg" in (out / "table.html").read_text()

    updates.clear()
    again = place.run()
    assert (again.status, updates) == (0, [])
    assert (out / "table.md").read_text() == told

    assert "in CPU time, over U1's" in told
    ratio = rows["N1"]["cpu_seconds"] / rows["U1"]["cpu_seconds"]
    assert f" {ratio:.2f}× " in _line_of("N1", told)
    _make_older(out / "rows" / "N1" / "metrics.json")
    assert place.run().status == 0
    older = (out / "table.md").read_text()
    assert "by the clock on the wall, over U1's" in older
    ratio = rows["N1"]["seconds"] / rows["U1"]["seconds"]
    assert f" {ratio:.2f}× " in _line_of("N1", older)

    refused = place.run("--seed", 1)
    assert refused.status == 2
    assert "row O1 was begun with other options; give the changed row another name" in refused.err

    shutil.rmtree(out / "rows" / "N1")
    shutil.copytree(out / "rows" / "O1", out / "rows" / "N1")
    assert place.run().status == 0  # other weights are recognised anew
    rows = {row["name"]: row for row in json.loads((out / "table.json").read_text())["rows"]}
    assert rows["N1"]["wer"] == rows["O1"]["wer"]


def _line_of(row: str, told: str) -> str:
    return next(line for line in told.splitlines() if line.startswith(f"| {row} "))


def _make_older(file: Path) -> None:
    """As before the processor's time was counted."""
    record = json.loads(file.read_text())
    del record["training_cpu_seconds"]
    for point in record["history"]:
        del point["cpu_seconds"]
    file.write_text(json.dumps(record))


def test_a_row_of_the_study_of_two_bits(tmp_path: Path, one_thread: None) -> None:
    place, whole = _Place(tmp_path), read_table("rybakov2023")
    chosen = [one for one in whole.rows if one.name in ("U1", "2A-32-clip", "4S-channel")]
    run.reproduce(
        replace(whole, rows=tuple(chosen)),
        *(place.start, place.train, {"clean": place.clean}, tmp_path / "out"),
        {"steps": 2, "seconds_per_batch": 1.0, "evaluations": 1, "learning_rate": 1e-2},
    )
    record = json.loads((tmp_path / "out" / "table.json").read_text())
    rows = {row["name"]: row for row in record["rows"]}
    assert (rows["2A-32-clip"]["bits"], rows["4S-channel"]["bits"]) == (2, 4)
    # Width 32 and 48: one block of 32 a row, and in the wider matrix a short one.
    assert rows["2A-32-clip"]["effective_bits"] > 2 + 32 / 48
    assert rows["2A-32-clip"]["ratio"] > rows["4S-channel"]["ratio"] > 1
    assert "--candidates 2/asymmetric/32" in rows["2A-32-clip"]["command"]


def test_a_row_that_fails_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    place, original = _Place(tmp_path), run.compress

    def failing(*given: Any, **named: Any) -> Any:
        if given[3].name == "O1":
            raise InputError("the loss is nan")
        return original(*given, **named)

    monkeypatch.setattr(run, "compress", failing)
    ended = place.run()
    assert ended.status == 2
    assert "row O1 failed: the loss is nan" in ended.err
    told = (tmp_path / "out" / "table.md").read_text()
    assert "Row O1 failed: the loss is nan" in told
    assert "| N1 " in told
    assert "| O1 " not in told
    monkeypatch.setattr(run, "compress", original)
    assert place.run().status == 0
    assert "| O1 " in (tmp_path / "out" / "table.md").read_text()
    (tmp_path / "out" / "rows" / "O1" / "model.safetensors").write_bytes(b"")
    ended = place.run()
    assert ended.status == 2
    assert "row O1 failed: " in ended.err
    assert "| N1 " in (tmp_path / "out" / "table.md").read_text()


def test_a_row_that_another_process_is_at_is_left_to_it(tmp_path: Path, one_thread: None) -> None:
    """The command may run twice at once on one table; the other rows are run meanwhile."""
    place = _Place(tmp_path)
    busy = unfinished(tmp_path / "out" / "rows" / "O1")
    busy.mkdir(parents=True)
    with locked(busy, "refused"):
        ended = place.run()
    assert ended.status == 2
    assert f"row O1 failed: another process is at work on {busy.with_suffix('')}" in ended.err
    assert {one.name for one in busy.parent.iterdir()} == {"F1", "N1", "O1.unfinished", "U1"}
    assert place.run().status == 0
    assert "| O1 " in (tmp_path / "out" / "table.md").read_text()


def test_a_row_can_be_made_by_its_command_alone(tmp_path: Path, one_thread: None) -> None:
    place = _Place(tmp_path)
    assert place.run().status == 0
    record = json.loads((tmp_path / "out" / "table.json").read_text())
    for row in record["rows"][2:]:
        words = row["command"].split()
        assert words[0] == "sottovoce"
        words[words.index("--out") + 1] = str(tmp_path / f"alone-{row['name']}")
        assert sottovoce(*words[1:]).status == 0
        ours, alone = tmp_path / "out" / "rows" / row["name"], tmp_path / f"alone-{row['name']}"
        name = "model.safetensors"
        assert (ours / name).read_bytes() == (alone / name).read_bytes(), row["name"]


def test_some_rows_of_a_table(tmp_path: Path, updates: list[int], one_thread: None) -> None:
    place = _Place(tmp_path)
    ended = place.run("--row", "F1")
    assert ended.status == 0, ended.err
    assert "two-pass" in ended.out
    assert "one-pass" not in ended.out
    trained = len(updates)
    ended = place.run("--row", "O1")
    assert ended.status == 0, ended.err
    assert len(updates) == trained + 2
    rows = json.loads((tmp_path / "out" / "table.json").read_text())["rows"]
    finished_first = ["input", "U1", "F1", "O1"]  # so that an interruption hides none of them
    assert [row["name"] for row in rows] == finished_first
    for unknown in ("O9", "theirs"):
        ended = place.run("--row", unknown)
        assert ended.status != 0
        assert f"has no row '{unknown}' to run; it has O1, F1, N1, U1" in ended.err


def test_a_table_may_grow(tmp_path: Path, updates: list[int], one_thread: None) -> None:
    place = _Place(tmp_path)
    assert place.run("--row", "O1").status == 0
    trained = len(updates)
    more = TABLE.replace('"one-pass"', '"in one pass"').replace(
        "bits = 3, candidates = [2, 4] }",
        (
            'bits = 3, candidates = [2, 4] }\n[[rows]]\nname = "O2"\nsystem = "more bits"\n'
            "options = { bits = 4, candidates = [2, 4] }"
        ),
        1,
    )
    place.table.write_text(more)
    third = place.test("third", 15)
    ended = place.run("--row", "O2", "--test", f"third={third}")
    assert ended.status == 0, ended.err
    assert len(updates) == trained + 2
    record = json.loads((tmp_path / "out" / "table.json").read_text())
    rows = {row["name"]: row for row in record["rows"]}
    assert list(rows) == ["input", "U1", "O1", "O2"]
    assert all(set(row["wer"]) == {"clean", "other", "third", "all"} for row in rows.values())
    assert "in one pass" in (tmp_path / "out" / "table.md").read_text()

    place.table.write_text(TABLE.replace("bits = 3, candidates = [2, 4] }", "bits = 2.5 }", 1))
    other = place.run("--row", "U1")
    assert other.status == 2
    assert "row O1 was begun with other options" in other.err
    place.table.write_text(more)
    place.test("third", 14)
    other = place.run("--row", "U1", "--test", f"third={third}")
    assert other.status == 2
    assert "not begun with the same test speech 'third'; name another --out" in other.err
    ended = place.run("--row", "U1")
    assert ended.status == 0, ended.err
    assert len(updates) == trained + 2


def test_speech_that_was_trained_on_is_no_test(tmp_path: Path) -> None:
    place = _Place(tmp_path)
    ended = place.run("--test", f"same={place.train}")
    assert ended.status == 2
    assert "8 utterances of " in ended.err
    assert "u0, u1, u2, ...; test on speech that was not learnt from" in ended.err
    assert not (tmp_path / "out").exists()


def test_speech_is_tested_on_once(tmp_path: Path, updates: list[int]) -> None:
    place = _Place(tmp_path)
    combined = 'combined = ["clean", "other"'
    place.table.write_text(TABLE.replace(combined, f'{combined}, "again"'))
    ended = place.run("--test", f"again={place.other}")
    assert (ended.status, updates) == (2, [])
    assert "test sets other and again both hold 'other-u1', which a verdict over" in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (("--test", "dev"), "--test 'dev' must be NAME=SPEECH"),
        (("--test", "all=dev"), "--test 'all=dev' must be NAME=SPEECH"),
        (("--test", "clean=dev"), "two --test are called 'clean'"),
        (("--learning-rate", 0), "learning_rate is 0"),
    ],
)
def test_what_cannot_be_run_is_told_before_anything_is_trained(
    tmp_path: Path, updates: list[int], changes: tuple[object, ...], told: str
) -> None:
    ended = _Place(tmp_path).run(*changes)
    assert (ended.status, updates) == (2, [])
    assert told in ended.err
    assert not (tmp_path / "out").exists()
