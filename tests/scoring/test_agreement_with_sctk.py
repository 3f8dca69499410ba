"""Alignments and matched pairs agree with NIST's SCTK, stored and live."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from make_sctk_expectations import (
    EXPECTATIONS,
    Texts,
    Trial,
    random_trial,
    sctk_alignments,
    sctk_tests,
)

from sottovoce.scoring import Alignment, Score, Transcripts, matched_pairs, score

STORED = json.loads(EXPECTATIONS.read_text())
PRINTED = 0.0005 + 1e-9
"""SCTK prints three decimals."""
TABLE_STEP = 0.0085
"""SCTK's p is that of Z cut to two decimals; p moves by 0.8 times as much at most."""


def transcripts(name: str, texts: Texts) -> Transcripts:
    return Transcripts(
        name, {one: (one.split("-")[0], tuple(text.split())) for one, text in texts.items()}
    )


def scores(trial: Trial) -> dict[str, Score]:
    reference = transcripts("reference", trial.reference)
    return {
        name: score(reference, transcripts(name, texts)) for name, texts in trial.systems.items()
    }


def edits(alignment: Alignment) -> str:
    def edit(reference: str | None, hypothesis: str | None) -> str:
        if reference is None:
            return "I"
        if hypothesis is None:
            return "D"
        return "C" if reference == hypothesis else "S"

    return "".join(edit(*pair) for pair in alignment.pairs)


def assert_same_edits(systems: dict[str, Score], expected: dict[str, dict[str, str]]) -> None:
    ours = {
        name: {utterance: edits(alignment) for utterance, alignment in system.alignments.items()}
        for name, system in systems.items()
    }
    assert ours == expected


def assert_same_tests(systems: dict[str, Score], expected: dict[str, dict[str, Any]]) -> None:
    for pair, printed in expected.items():
        a, b = pair.split()
        ours = matched_pairs(systems[a], systems[b])
        assert ours.segments == printed["segments"], pair
        for figure in ("mean", "sd", "z"):
            assert getattr(ours, figure) == pytest.approx(printed[figure], abs=PRINTED), pair
        p = float(printed["p"].removeprefix("<"))
        if printed["p"].startswith("<"):
            assert ours.sctk_p < p, pair
        else:
            assert ours.mapsswe_p == pytest.approx(p, abs=TABLE_STEP), pair
            if not on_table_entry(ours.z):
                assert ours.sctk_p == pytest.approx(p, abs=PRINTED), pair


def on_table_entry(z: float) -> bool:
    """Whether rounding in the last place decides which entry SCTK's table gives for Z."""
    return z != 0 and abs(100 * z - round(100 * z)) < 1e-9


@pytest.mark.parametrize("stored", STORED)
def test_agrees_with_what_sctk_said(stored: dict[str, Any]) -> None:
    systems = scores(Trial(stored["reference"], stored["systems"]))
    assert_same_edits(systems, stored["edits"])
    assert_same_tests(systems, stored["tests"])


@pytest.mark.skipif(shutil.which("sctk") is None, reason="SCTK is not installed: no `sctk` on PATH")
def test_agrees_with_sctk_itself_on_hundreds_of_pairs(tmp_path: Path) -> None:
    compared = 0
    shapes = [
        (50, 12, "abcdefgh"),
        (80, 8, "ab"),
        (15, 25, "abcdefghijklmnopqrst"),
        (150, 5, "abc"),
    ]
    for seed in range(12):
        trial = random_trial(1000 + seed, *shapes[seed % len(shapes)])
        expected_edits, sgml = sctk_alignments(trial, tmp_path)
        expected_tests = sctk_tests(trial, sgml, tmp_path)
        systems = scores(trial)
        assert_same_edits(systems, expected_edits)
        assert_same_tests(systems, expected_tests)
        compared += len(expected_tests)
    assert compared >= 200
