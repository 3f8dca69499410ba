"""What the tests of several folders share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_corpus, tiny_recogniser

from sottovoce.models.recogniser import Recogniser
from sottovoce.speech.corpus import Corpus
from sottovoce.training import loop

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


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Results are compared bit for bit, and several threads add up in other orders."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one at every update that is trained."""
    made: list[int] = []
    original = loop.make_update

    def counted(*given: Any) -> Any:
        made.append(1)
        return original(*given)

    monkeypatch.setattr(loop, "make_update", counted)
    return made


@pytest.fixture(scope="session")
def folder_of_all_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder a test run, the same in each process that pytest-xdist starts."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="module")
def graphs_traced_once(folder_of_all_processes: Path) -> Iterator[None]:
    """Recognisers that are equal have one graph, whichever test of whichever process asks first."""
    from traced import traced_once  # noqa: PLC0415

    from sottovoce.exporters import onnx_target  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch:
        once = traced_once(onnx_target.trace, folder_of_all_processes)
        patch.setattr(onnx_target, "trace", once)
        yield
