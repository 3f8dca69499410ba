from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from tiny import noise

from sottovoce.config.recipe import Training
from sottovoce.errors import InputError
from sottovoce.models.recogniser import Recogniser
from sottovoce.speech.corpus import Corpus
from sottovoce.training.batch import Batch, TrainingSpeech

RECIPE = Training(seconds_per_batch=1.0, seed=3)
MakeRecogniser = Callable[..., Recogniser]


def _speech(corpus: Corpus, recogniser: Recogniser) -> TrainingSpeech:
    return TrainingSpeech(corpus, recogniser)


def _first(speech: TrainingSpeech, count: int, recipe: Training = RECIPE) -> list[Batch]:
    return list(islice(speech.batches(recipe, 0), count))


def test_an_epoch_has_every_utterance_once(make_recogniser: MakeRecogniser, corpus: Corpus) -> None:
    speech = _speech(corpus, make_recogniser())
    each = speech.updates_an_epoch(RECIPE.seconds_per_batch, RECIPE.seed)
    batches = _first(speech, each)
    seen = [name for batch in batches for name in batch.ids]
    assert sorted(seen) == [utterance.id for utterance in corpus.utterances]
    for batch in batches:
        padded = len(batch.ids) * max(map(len, batch.waveforms)) / 16000
        assert padded <= RECIPE.seconds_per_batch
        assert batch.seconds == pytest.approx(sum(map(len, batch.waveforms)) / 16000)


def test_an_utterance_keeps_its_samples_and_labels(
    make_recogniser: MakeRecogniser, corpus: Corpus
) -> None:
    recogniser = make_recogniser()
    batch = _first(_speech(corpus, recogniser), 1)[0]
    for name, waveform, labels in zip(batch.ids, batch.waveforms, batch.targets, strict=True):
        index, utterance = int(name[1:]), corpus.by_id[name]
        expected = noise(utterance.duration, seed=index)
        np.testing.assert_allclose(waveform, expected, atol=1e-4)  # 16-bit file
        assert labels == tuple(recogniser.labels.encode(utterance.text))


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("first", [1, 4, 7, 13])
def test_batches_are_the_same_wherever_reading_starts(
    make_recogniser: MakeRecogniser, corpus: Corpus, first: int, augment: bool
) -> None:
    speech = _speech(corpus, make_recogniser())
    recipe = replace(RECIPE, augment=augment)
    expected = _first(speech, first + 2, recipe)[first:]
    found = list(islice(speech.batches(recipe, first), 2))
    assert [batch.ids for batch in found] == [batch.ids for batch in expected]
    for one, other in zip(found, expected, strict=True):
        for waveform, same in zip(one.waveforms, other.waveforms, strict=True):
            np.testing.assert_array_equal(waveform, same)


def test_augmentation_keeps_lengths_and_changes_samples(
    make_recogniser: MakeRecogniser, corpus: Corpus
) -> None:
    speech = _speech(corpus, make_recogniser())
    plain = _first(speech, 1)[0]
    varied = _first(speech, 1, replace(RECIPE, augment=True))[0]
    for one, other in zip(plain.waveforms, varied.waveforms, strict=True):
        assert len(one) == len(other)
        assert not np.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": "a 7"}, "'7'"),
        ({"duration": 0.005}, "is 0 frames"),
        ({"text": "a b c " * 20}, r"but its transcript needs 119"),
        ({"text": "c" * 16}, "but its transcript needs 31"),
    ],
)
def test_speech_that_cannot_be_trained_on_is_refused_beforehand(
    make_recogniser: MakeRecogniser, corpus: Corpus, changes: dict[str, object], message: str
) -> None:
    bad = replace(corpus.utterances[0], id="bad one", **changes)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message) as raised:
        _speech(Corpus("speech", (*corpus.utterances, bad)), make_recogniser())
    assert "bad one" in str(raised.value)


def test_a_transcript_that_just_fits_is_accepted(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    recogniser = make_recogniser()
    frames = recogniser.frames_of(3200)
    fitting = replace(corpus.utterances[0], text="ab" * (frames // 2))
    assert len(TrainingSpeech(Corpus("speech", (fitting,)), recogniser).targets["u0"]) >= frames - 1


@pytest.mark.parametrize("updates", [0, 1, 3, 1000])
def test_what_the_first_updates_hear_is_known_without_reading_it(
    make_recogniser: MakeRecogniser, corpus: Corpus, updates: int
) -> None:
    speech = _speech(corpus, make_recogniser())
    an_epoch = speech.updates_an_epoch(RECIPE.seconds_per_batch, RECIPE.seed)
    batches = _first(speech, min(updates, an_epoch))
    names = {name for batch in batches for name in batch.ids}
    heard = [one.id for one in speech.heard(RECIPE, updates)]
    assert heard == [one.id for one in corpus.utterances if one.id in names]
    assert (len(heard) == len(corpus.utterances)) == (updates >= an_epoch)


def test_a_corpus_whose_transcripts_are_all_empty_is_refused(
    make_recogniser: MakeRecogniser, corpus: Corpus
) -> None:
    recogniser = make_recogniser()
    silent = tuple(replace(one, text="") for one in corpus.utterances)
    with pytest.raises(InputError, match="noise: every transcript is empty"):
        _speech(Corpus("noise", silent), recogniser)
    _speech(Corpus("noise", (*silent[1:], corpus.utterances[0])), recogniser)
    TrainingSpeech(Corpus("noise", silent), recogniser, transcribed=False)
