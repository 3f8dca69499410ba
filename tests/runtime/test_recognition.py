from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import torch
from tiny import RATE, noise

from sottovoce.errors import InputError
from sottovoce.models.recogniser import Recogniser
from sottovoce.runtime.recognition import recognise, references
from sottovoce.speech.corpus import Corpus

MakeRecogniser = Callable[..., Recogniser]


def test_the_batch_changes_no_text_and_no_order(
    make_recogniser: MakeRecogniser, corpus: Corpus
) -> None:
    recogniser = make_recogniser()
    found = [recognise(recogniser, corpus, seconds=seconds) for seconds in (0.01, 1.0, 60.0)]
    assert all(one.transcripts == found[0].transcripts for one in found)
    assert list(found[0].transcripts.utterances) == [one.id for one in corpus.utterances]
    speakers = {name: speaker for name, (speaker, _) in found[0].transcripts.utterances.items()}
    assert speakers == {one.id: one.speaker for one in corpus.utterances}
    assert found[0].seconds_of_audio == pytest.approx(
        sum(one.duration for one in corpus.utterances)
    )
    assert found[0].real_time_factor == found[0].seconds / found[0].seconds_of_audio


def test_references_are_normalised(make_recogniser: MakeRecogniser, corpus: Corpus) -> None:
    shouted = replace(corpus.utterances[0], text=" AB,  c! ")
    found = references(make_recogniser(), Corpus("shouted", (shouted,)))
    assert found.utterances["u0"] == ("s0", ("ab", "c"))


def test_what_is_too_short_is_named(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    recogniser = make_recogniser()
    path = tmp_path / "click.wav"
    soundfile.write(path, noise(0.005), RATE)
    clip = replace(corpus.utterances[0].audio, source=path)
    click = replace(corpus.utterances[0], id="click", audio=clip, duration=0.005)
    with pytest.raises(InputError, match=r"click has 80 samples; the model needs 164"):
        recognise(recogniser, Corpus("noise", (*corpus.utterances, click)))


def test_too_little_memory_names_the_longest_utterance(
    make_recogniser: MakeRecogniser, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    recogniser = make_recogniser()
    monkeypatch.setattr(Recogniser, "recognise", lacking)
    longest = max(corpus.utterances, key=lambda one: one.duration)
    with pytest.raises(InputError, match=f"out of memory in .* at utterance {longest.id}, .* s: "):
        recognise(recogniser, corpus)
