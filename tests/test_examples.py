"""The examples in the docstrings of the public functions, run on a tiny recogniser."""

import inspect
import json
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
import soundfile
from program import save_checkpoint, save_speech, write_manifest

import sottovoce

FUNCTIONS = [name for name in sottovoce.__all__ if inspect.isfunction(getattr(sottovoce, name))]
SLOW = ("compress_lossless", "export")
SIZE = sottovoce.Recipe(steps=1, bits=3.0, candidates=("2", "4"))


def example_of(name: str) -> str:
    """The code of a function's `Example:` section."""
    shown = inspect.getdoc(getattr(sottovoce, name)) or ""
    found = re.search(r"^Example:\n    ```python\n(.*?)\n    ```", shown, re.DOTALL | re.MULTILINE)
    assert found is not None, f"sottovoce.{name} shows no example"
    return textwrap.dedent(found[1])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples read: a checkpoint, a compressed one, and speech."""
    folder = tmp_path_factory.mktemp("examples")
    save_checkpoint(folder / "start")
    for name, utterances in (("train", 8), ("dev", 30)):
        manifest = save_speech(folder / name, utterances)
        records = [json.loads(line) for line in manifest.read_text().splitlines()]
        moved = [
            {
                **one,
                "id": f"{name}-{one['id']}",
                "audio_filepath": f"{name}/{one['audio_filepath']}",
            }
            for one in records[1:]  # the first has the same audio in both
        ]
        write_manifest(folder / f"{name}.jsonl", moved)
    audio = [folder / one["audio_filepath"] for one in moved]
    texts = [text for _, text in sottovoce.transcribe(folder / "start", audio)]
    said = [{**one, "text": text or one["text"]} for one, text in zip(moved, texts, strict=True)]
    write_manifest(folder / "dev.jsonl", said)  # words that the checkpoint recognises, mostly
    noise = np.random.default_rng(0).standard_normal(16000)
    soundfile.write(folder / "interview.wav", 0.1 * noise, 16000)
    sottovoce.compress(
        *(folder / name for name in ("start", "train.jsonl", "dev.jsonl", "small")), SIZE
    )
    return folder


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in FUNCTIONS],
)
def test_the_example_of_a_function_runs(
    name: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    exec(compile(example_of(name), name, "exec"), {"sottovoce": sottovoce})
