"""Speech that stands in two corpora: what was trained on proves nothing about what it is."""

from sottovoce.errors import InputError
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.utterance import Utterance
from sottovoce.wording import plural

_SHOWN = 3
_ROUNDED = 0.01
"""Seconds by which stated lengths of one utterance may differ."""


def refuse_overlap(training: Corpus, test: Corpus) -> None:
    """Raises:
    InputError: utterances of `test` are in `training` too: the same words under the same id, or
        the same audio; some are named.
    """
    for told in overlap_warnings(training, test):
        raise InputError(told)


def overlap_warnings(training: Corpus, test: Corpus) -> tuple[str, ...]:
    """What `refuse_overlap` says, as a note; none where nothing is in both."""
    found = overlapping(training, test)
    if not found:
        return ()
    named = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
    return (
        f"{training.name} holds {plural(len(found), 'utterance')} of {test.name} too: {named}; "
        "test on speech that was not learnt from",
    )


def overlapping(training: Corpus, test: Corpus) -> list[str]:
    """Ids of the utterances of `test` that `training` holds too."""
    by_audio: dict[str, list[Utterance]] = {}
    for one in training.utterances:
        by_audio.setdefault(one.audio.signature, []).append(one)

    def held(one: Utterance) -> bool:
        namesake = training.by_id.get(one.id)
        if namesake is not None and _same_words(namesake, one):
            return True
        return any(_same_stretch(other, one) for other in by_audio.get(one.audio.signature, ()))

    return [one.id for one in test.utterances if held(one)]


def _same_words(one: Utterance, other: Utterance) -> bool:
    """Of two with the same id; it may be a number, and the words few, so the length counts too."""
    return one.text == other.text and abs(one.duration - other.duration) <= _ROUNDED


def _same_stretch(one: Utterance, other: Utterance) -> bool:
    """Of two in the same encoded audio: whether more than half of the shorter is in both."""
    begin = max(one.audio.start, other.audio.start)
    end = min(one.audio.start + one.duration, other.audio.start + other.duration)
    return end - begin > min(one.duration, other.duration) / 2
