"""One folder a question: what each has, and that asking for help starts nothing."""

from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks import chart
from benchmarks.inputs import Needs
from benchmarks.questions import NAMES, QUESTIONS, Question, folders
from benchmarks.results_page import KEPT, PAGE, question_page, results_page
from benchmarks.rows import RESULTS
from sottovoce.errors import InputError

EACH = pytest.mark.parametrize("question", QUESTIONS, ids=NAMES)


def test_every_folder_is_a_question() -> None:
    assert folders() == sorted(NAMES)


@EACH
def test_help_says_what_it_does_and_starts_nothing(
    question: Question, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module(question.module)
    monkeypatch.setattr("sys.argv", ["run.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        module.main()
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize(
    "question", [one for one in QUESTIONS if one.needs.data], ids=lambda one: one.name
)
def test_missing_data_are_told_in_a_sentence(question: Question, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not there; give the folder .* as --data DIR"):
        import_module(question.module).main(["--data", str(tmp_path)])


@EACH
def test_the_page_is_what_the_rows_say(question: Question) -> None:
    assert (RESULTS / f"{question.name}.md").read_text() == question_page(question)


def test_the_pages_of_tables_and_the_summary_are_what_the_rows_say() -> None:
    for kept in KEPT:
        assert (RESULTS / f"{kept.name}.md").read_text() == kept.page(), kept.name
    assert PAGE.read_text() == results_page()
    assert chart.FILE.read_text() == chart.chart()


def test_the_chart_shows_every_system_inside_its_frame() -> None:
    shown = list(chart.points())
    assert {point.kind for point in shown} == set(chart.COLOURS)
    for point in shown:
        assert chart.LEAST_MB < point.megabytes < chart.MOST_MB
        for rate in (point.wer, *(point.interval or ())):
            assert chart.LEAST_WER <= rate <= chart.MOST_WER, point


@pytest.mark.parametrize(
    ("needs", "told"),
    [
        (Needs(hours=3), "may take 3 hours"),
        (Needs(hours=0, packages=("no_such_package",)), "no_such_package: pip install"),
        (Needs(hours=0, data=True), "--data DIR"),
    ],
)
def test_what_cannot_be_measured_is_left_out_with_the_reason(
    needs: Needs,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Question, "needs", property(lambda _: needs))
    assert bench.measure(QUESTIONS[0], tmp_path, hours=1) == []
    printed = capsys.readouterr().out
    assert printed.startswith(f"left out: {QUESTIONS[0].name}: ")
    assert told in printed
