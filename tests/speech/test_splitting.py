"""A corpus in two."""

from dataclasses import replace
from pathlib import Path

import pytest

from sottovoce.errors import InputError
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.splitting import split_in_halves
from sottovoce.speech.utterance import AudioClip, Utterance


def _corpus(speakers: int, utterances: int = 40) -> Corpus:
    clip = AudioClip(Path("none.wav"))
    return Corpus(
        "speech",
        tuple(
            Utterance(f"u{k}", clip, 1.0, "word " * (1 + k % 5), f"s{k % speakers}")
            for k in range(utterances)
        ),
    )


def _words(corpus: Corpus) -> int:
    return sum(len(one.text.split()) for one in corpus.utterances)


@pytest.mark.parametrize("speakers", [1, 2, 3, 4, 7, 40])
def test_the_halves_are_all_of_it_and_alike(speakers: int) -> None:
    corpus = _corpus(speakers)
    first, second = split_in_halves(corpus)
    assert sorted(u.id for half in (first, second) for u in half.utterances) == sorted(
        u.id for u in corpus.utterances
    )
    assert abs(_words(first) - _words(second)) <= _words(corpus) / 4
    who = [{u.speaker for u in half.utterances} for half in (first, second)]
    if speakers >= 4:
        assert not who[0] & who[1]
    else:
        assert who[0] == who[1]
    assert split_in_halves(corpus) == (first, second)


def test_a_speaker_with_nearly_all_of_the_words_is_in_both_halves() -> None:
    """The verdict would be given on a handful of utterances else."""
    corpus = _corpus(1)
    few = [replace(one, speaker=f"t{k}") for k, one in enumerate(corpus.utterances[:6])]
    corpus = Corpus("speech", (*few, *corpus.utterances[6:]))
    first, second = split_in_halves(corpus)
    assert abs(_words(first) - _words(second)) <= 5
    assert "s0" in {u.speaker for u in first.utterances} & {u.speaker for u in second.utterances}


def test_too_few_utterances_are_refused() -> None:
    with pytest.raises(InputError, match="19 utterances, too few .* 20 are the fewest"):
        split_in_halves(_corpus(4, 19))
