"""A part of a corpus that stands for the whole."""

from pathlib import Path

import numpy as np
import pytest

from sottovoce.speech.corpus import Corpus
from sottovoce.speech.sampling import sample, speakers
from sottovoce.speech.utterance import AudioClip, Utterance


def _corpus(*durations: tuple[str, float]) -> Corpus:
    return Corpus(
        "speech",
        tuple(
            Utterance(f"u{index}", AudioClip(Path("a.wav")), seconds, "", speaker)
            for index, (speaker, seconds) in enumerate(durations)
        ),
    )


def _large(count: int = 400) -> Corpus:
    """Six speakers, one after the other, one of whom says half of it; of 1 to 20 s."""
    random = np.random.default_rng(0)
    shares = np.array([0.5, 0.1, 0.1, 0.1, 0.1, 0.1])
    who = sorted(random.choice(6, count, p=shares))
    return _corpus(*((f"s{one}", float(random.uniform(1, 20))) for one in who))


def test_a_corpus_within_the_limit_is_itself() -> None:
    corpus = _corpus(("a", 30.0), ("b", 30.0))
    assert sample(corpus, 1.0) is corpus


@pytest.mark.parametrize("minutes", [0.5, 2.0, 10.0])
def test_a_sample_is_spread_over_speakers_and_lengths(minutes: float) -> None:
    corpus = _large()
    found = sample(corpus, minutes)
    assert 0.95 * minutes < 60 * found.hours <= minutes
    places = [corpus.utterances.index(one) for one in found.utterances]
    assert places == sorted(places)
    if minutes >= 2:
        assert speakers(found) == speakers(corpus) == 6
    if minutes >= 10:
        counts = np.unique([one.speaker for one in found.utterances], return_counts=True)[1]
        assert counts.max() <= 2 * counts.min()
        found_lengths, lengths = (
            np.quantile([one.duration for one in each.utterances], [0.25, 0.5, 0.75])
            for each in (found, corpus)
        )
        assert np.abs(found_lengths - lengths).max() < 4


def test_the_same_utterances_are_taken_at_every_call() -> None:
    assert sample(_large(), 3.0) == sample(_large(), 3.0)


def test_more_minutes_hold_more_speech() -> None:
    corpus = _large()
    hours = [sample(corpus, minutes).hours for minutes in (0.5, 1, 2, 4, 8)]
    assert hours == sorted(set(hours))


def test_there_is_one_utterance_at_least() -> None:
    """And one that is longer than all the limit is passed over."""
    corpus = _corpus(("a", 600.0), ("a", 90.0), ("a", 120.0))
    assert [one.duration for one in sample(corpus, 1.0).utterances] == [90.0]
    corpus = _corpus(("a", 600.0), ("a", 50.0), ("a", 120.0))
    assert [one.duration for one in sample(corpus, 1.0).utterances] == [50.0]
