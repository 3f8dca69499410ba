from pathlib import Path

import pytest

from benchmarks.random_speech import TINY
from benchmarks.rows import read_rows
from benchmarks.step_cost.run import METHODS, all_trainees, main, one_round, parts_of_an_update


def test_every_method_makes_the_same_update_that_training_makes(tmp_path: Path) -> None:
    trainees = all_trainees(TINY, "no", tmp_path)
    seconds = one_round(lambda: trainees, 1)["seconds"]
    assert list(seconds) == [method.name for method in METHODS]
    assert min(seconds.values()) > 0
    for method in METHODS:
        parts = parts_of_an_update(lambda: trainees, method.name, 2)["seconds"]
        quantizing = {"quantizing", "its backward"}
        quantizes = method.recipe is not None
        assert all((parts[one] > 0) == quantizes for one in quantizing)
        assert all(parts[one] > 0 for one in parts.keys() - quantizing)


@pytest.mark.slow
def test_an_interrupted_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "step_cost.json"
    arguments = ["step_cost.py", "--quick", "--results", str(results)]
    monkeypatch.setattr("sys.argv", [*arguments, "--rounds", "1"])
    main()
    kept = read_rows(results)
    monkeypatch.setattr("sys.argv", [*arguments, "--rounds", "2"])
    capsys.readouterr()
    main()
    assert read_rows(results)[:-1] == kept
    printed = capsys.readouterr().out
    assert "round 1" not in printed
    assert "round 2, all students" in printed
    assert "2.9x" in printed
