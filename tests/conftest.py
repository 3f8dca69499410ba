"""What the tests of several folders share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_corpus, tiny_recogniser

from sottovoce.models.recogniser import Recogniser
from sottovoce.speech.corpus import Corpus

MakeRecogniser = Callable[..., Recogniser]


@pytest.fixture
def make_recogniser(tmp_path: Path) -> MakeRecogniser:
    """`tiny_recogniser` without its folder: family name, then changes to the configuration."""

    def make(family: str = "wav2vec2", **changes: Any) -> Recogniser:
        return tiny_recogniser(tmp_path, family, **changes)

    return make


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return tiny_corpus(tmp_path / "speech")
