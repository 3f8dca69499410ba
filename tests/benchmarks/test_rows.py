import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rows import read_rows, row_of


def test_a_row_is_measured_once_for_each_key(tmp_path: Path) -> None:
    path = tmp_path / "results" / "rows.json"
    measured: list[int] = []

    def measure() -> dict[str, Any]:
        measured.append(len(measured))
        return {"seconds": measured[-1], "shape": (2, 3)}

    first = row_of(path, {"method": "a", "threads": 2}, measure)
    again = row_of(path, {"method": "a", "threads": 2}, measure)
    other = row_of(path, {"method": "a", "threads": 4}, measure)

    assert measured == [0, 1]
    assert again == first
    assert first["shape"] == [2, 3]
    assert other["seconds"] == 1
    assert read_rows(path) == [first, other] == json.loads(path.read_text())
    assert [file.name for file in path.parent.iterdir()] == ["rows.json"]


def test_a_measurement_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    kept = row_of(path, {"round": 1}, lambda: {"seconds": 1.0})

    def interrupted() -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        row_of(path, {"round": 2}, interrupted)
    assert read_rows(path) == [kept]
