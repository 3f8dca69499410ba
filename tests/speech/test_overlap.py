"""Speech that is in two corpora."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import soundfile
from tiny import tiny_corpus

from sottovoce.speech.corpus import Corpus
from sottovoce.speech.overlap import overlapping
from sottovoce.speech.utterance import AudioClip


def _renamed(corpus: Corpus, folder: Path) -> Corpus:
    """The same audio in other files under other ids."""
    folder.mkdir()
    moved = []
    for one in corpus.utterances:
        assert isinstance(one.audio.source, Path)
        path = folder / f"copy-{one.audio.source.name}"
        shutil.copy(one.audio.source, path)
        moved.append(replace(one, id=f"copy-{one.id}", audio=AudioClip(path)))
    return Corpus("copies", tuple(moved))


def test_copied_audio_is_found_by_its_bytes(tmp_path: Path) -> None:
    corpus = tiny_corpus(tmp_path / "a", 4)
    copies = _renamed(corpus, tmp_path / "b")
    assert overlapping(corpus, copies) == ["copy-u0", "copy-u1", "copy-u2", "copy-u3"]


def test_an_id_counts_where_length_and_words_are_the_same(tmp_path: Path) -> None:
    corpus, louder = tiny_corpus(tmp_path / "a", 4), tiny_corpus(tmp_path / "b", 4)
    for one in louder.utterances:
        assert isinstance(one.audio.source, Path)
        waveform, rate = soundfile.read(one.audio.source)
        soundfile.write(one.audio.source, 1.5 * waveform, rate)
    assert overlapping(corpus, louder) == ["u0", "u1", "u2", "u3"]
    other = tuple(replace(one, text="other words") for one in louder.utterances)
    assert overlapping(corpus, Corpus("other words", other)) == []
    longer = tuple(replace(one, duration=one.duration + 1) for one in louder.utterances)
    assert overlapping(corpus, Corpus("longer", longer)) == []


def test_audio_in_no_file_is_compared_by_its_bytes(tmp_path: Path) -> None:
    corpus = tiny_corpus(tmp_path / "a", 2)
    fetched = tuple(
        replace(one, id=f"x{one.id}", audio=AudioClip(partial(one.audio.source.read_bytes)))  # type: ignore[union-attr]
        for one in corpus.utterances
    )
    held = Corpus("held", fetched)
    again = Corpus("again", tuple(replace(one, id=f"y{one.id}") for one in fetched))
    assert overlapping(held, again) == ["yxu0", "yxu1"]


def test_stretches_of_one_file_are_different_speech(tmp_path: Path) -> None:
    one = tiny_corpus(tmp_path / "a", 1).utterances[0]
    assert isinstance(one.audio.source, Path)
    first, second = (
        Corpus(name, (replace(one, id=name, audio=cut, duration=0.1),))
        for name, start in (("early", 0.0), ("late", 0.1))
        for cut in [replace(one.audio, start=start, duration=0.1)]
    )
    assert overlapping(first, second) == []
    assert overlapping(first, first) == ["early"]


def test_lengths_that_are_stated_otherwise_hide_nothing(tmp_path: Path) -> None:
    corpus = tiny_corpus(tmp_path / "a", 4)
    rounded = tuple(
        replace(one, duration=round(one.duration, 2) + 0.004) for one in corpus.utterances
    )
    assert overlapping(Corpus("rounded", rounded), corpus) == ["u0", "u1", "u2", "u3"]
    copies = _renamed(corpus, tmp_path / "b")
    longer = tuple(replace(one, duration=1.02 * one.duration + 0.05) for one in copies.utterances)
    assert len(overlapping(Corpus("longer", longer), corpus)) == 4


def test_stretches_that_share_more_than_half_are_the_same_speech(tmp_path: Path) -> None:
    one = tiny_corpus(tmp_path / "a", 1).utterances[0]

    def stretch(start: float, duration: float) -> Corpus:
        audio = replace(one.audio, start=start, duration=duration)
        return Corpus("cut", (replace(one, id=f"{start}", audio=audio, duration=duration),))

    assert overlapping(stretch(0.0, 0.2), stretch(0.09, 0.2)) == ["0.09"]
    assert overlapping(stretch(0.0, 0.2), stretch(0.11, 0.2)) == []
