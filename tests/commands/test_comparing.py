"""Hypotheses that were saved, against references that were written by someone else."""

from pathlib import Path

import pytest
import soundfile
from program import write_manifest
from tiny import RATE, noise

from sottovoce.commands.compare import compare_systems
from sottovoce.errors import InputError


def _speech(folder: Path, *texts: str) -> Path:
    records: list[dict[str, object]] = []
    for index, text in enumerate(texts):
        soundfile.write(folder / f"{index}.wav", noise(0.1), RATE)
        records.append({"id": f"u{index}", "audio_filepath": f"{index}.wav", "text": text})
    return write_manifest(folder / "speech.jsonl", records)


def _trn(path: Path, *texts: str) -> Path:
    path.write_text("".join(f"{text} (-u{index})\n" for index, text in enumerate(texts)))
    return path


@pytest.mark.parametrize(
    "written",
    [
        ("hello world it is fine", "yes really don't"),
        ("HELLO WORLD IT IS FINE", "YES REALLY DON'T"),
        ("Hello, world. It is fine.", "Yes - “really”! Don’t"),
        ("hello world it is fine", "yes really dont"),
    ],
)
def test_a_corpus_is_written_as_the_systems_write(tmp_path: Path, written: tuple[str, ...]) -> None:
    speech = _speech(tmp_path, "Hello, world. It is fine.", "Yes - “really”! Don’t")
    hypothesis = _trn(tmp_path / "h.trn", *written)
    found = compare_systems(hypothesis, hypothesis, speech)
    assert (found.errors_a, found.errors_b) == (0, 0)
    assert found.words == (9 if "-" in "".join(written) else 8)


def test_a_word_that_was_misheard_stays_an_error(tmp_path: Path) -> None:
    speech = _speech(tmp_path, "Hello, world.", "‘Yes’ - he said!")
    a, b = _trn(tmp_path / "a.trn", "hello world", "yes he said"), tmp_path / "b.trn"
    found = compare_systems(a, _trn(b, "hello word", "yes she said"), speech)
    assert (found.errors_a, found.errors_b) == (0, 2)


@pytest.mark.parametrize(
    ("said", "heard", "named"),
    [
        ("Hello, world.", "hello world", "capitals and punctuation"),
        ("HELLO WORLD OF A", "Hello World of a", "small letters"),
        ("hello, world -", "hello world", "punctuation"),
    ],
)
def test_references_that_are_written_otherwise_are_refused(
    tmp_path: Path, said: str, heard: str, named: str
) -> None:
    reference, hypothesis = _trn(tmp_path / "r.trn", said), _trn(tmp_path / "h.trn", heard)
    with pytest.raises(InputError, match=f"only one of them has {named}.*reference.trn"):
        compare_systems(hypothesis, hypothesis, reference)


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [("Hello, world.", "Hello word.", 2), ("a B c", "a x y", 2), ("a b", "c", 2)],
)
def test_other_errors_are_counted(tmp_path: Path, said: str, heard: str, errors: int) -> None:
    reference, hypothesis = _trn(tmp_path / "r.trn", said), _trn(tmp_path / "h.trn", heard)
    assert compare_systems(hypothesis, hypothesis, reference).errors_a == errors
