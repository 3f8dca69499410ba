"""Speech that stands in two corpora: what was trained on proves nothing about what it is."""

from sottovoce.errors import InputError
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.utterance import Utterance
from sottovoce.wording import counted

_SHOWN = 3


def refuse_overlap(training: Corpus, test: Corpus) -> None:
    """Raises:
    InputError: utterances of `test` are in `training` too: the same words under the same id, or
        the same audio; some are named.
    """
    for told in overlap_told(training, test):
        raise InputError(told)


def overlap_told(training: Corpus, test: Corpus) -> tuple[str, ...]:
    """What `refuse_overlap` says, as a note; none where nothing is in both."""
    found = overlapping(training, test)
    if not found:
        return ()
    named = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
    return (
        f"{training.name} holds {counted(len(found), 'utterance')} of {test.name} too: {named}; "
        "test on speech that was not learnt from",
    )


def overlapping(training: Corpus, test: Corpus) -> list[str]:
    """Ids of the utterances of `test` that `training` holds too."""
    lengths = {_length(one) for one in training.utterances}
    lengths &= {_length(one) for one in test.utterances}
    known = {key for one in training.utterances if _length(one) in lengths for key in _keys(one)}
    return [
        one.id
        for one in test.utterances
        if _length(one) in lengths and not known.isdisjoint(_keys(one))
    ]


def _length(utterance: Utterance) -> int:
    """Milliseconds."""
    return round(1000 * utterance.duration)


def _keys(utterance: Utterance) -> tuple[str, str]:
    """Two utterances are the same if either agrees: what is said under an id, or the audio."""
    clip, length = utterance.audio, _length(utterance)
    same_audio = f"{clip.signature} {clip.start} {length}"
    return f"{utterance.id} {length} {utterance.text}", same_audio
