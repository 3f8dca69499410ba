"""A part of a corpus that stands for the whole: some minutes, of all speakers and lengths.

Speakers take turns. Each turn takes, of what the speaker has left in the order of its length, the
utterance at the next point of the sequence n phi mod 1, which fills [0, 1) evenly however far it
is followed: short and long ones alike, the same ones at every call.
"""

from collections.abc import Iterator, Sequence
from itertools import count

from sottovoce.speech.corpus import Corpus
from sottovoce.speech.utterance import Utterance

_GOLDEN = (5**0.5 - 1) / 2


def sample(corpus: Corpus, minutes: float) -> Corpus:
    """At most so many minutes of a corpus, in its order; the corpus itself where it has no more.

    There is one utterance at least: the shortest, where none is within the limit.
    """
    left = 60 * minutes
    if 3600 * corpus.hours <= left:
        return corpus
    chosen = set()
    for one in _spread(corpus.utterances):
        if one.duration <= left:
            left -= one.duration
            chosen.add(one.id)
    if not chosen:
        chosen = {min(corpus.utterances, key=lambda one: one.duration).id}
    return Corpus(corpus.name, tuple(one for one in corpus.utterances if one.id in chosen))


def speakers(corpus: Corpus) -> int:
    """How many are known."""
    return len({one.speaker for one in corpus.utterances if one.speaker})


def _spread(utterances: Sequence[Utterance]) -> Iterator[Utterance]:
    """All of them, so that the first few are spread over speakers and lengths."""
    by_speaker: dict[str, list[Utterance]] = {}
    for one in sorted(utterances, key=lambda one: (one.duration, one.id)):
        by_speaker.setdefault(one.speaker, []).append(one)
    turns = count()
    while any(by_speaker.values()):
        for _, rest in sorted(by_speaker.items()):
            if rest:
                yield rest.pop(int(len(rest) * (next(turns) * _GOLDEN % 1)))
