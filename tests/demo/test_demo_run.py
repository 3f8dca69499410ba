"""The demo's run."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sottovoce.demo import run
from sottovoce.demo.corpus import Corpus
from sottovoce.training.run import unfinished


@pytest.mark.parametrize("interrupted", [False, True])
def test_an_interrupted_demo_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: bool
) -> None:
    asked: dict[str, Any] = {}
    spoken = Corpus(tmp_path / "train.jsonl", tmp_path / "dev.jsonl")
    monkeypatch.setattr(run, "speak_corpus", lambda *_, **__: spoken)
    monkeypatch.setattr(run, "compress", lambda *_, **named: asked.update(named))
    if interrupted:
        unfinished(tmp_path / "out").mkdir()
    run.run_demo(tmp_path / "out", 3.0, Console(quiet=True))
    assert asked["resume"] is interrupted
