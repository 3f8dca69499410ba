"""Speech that stands in two corpora: what was trained on proves nothing about what it is."""

import hashlib
from collections import defaultdict
from pathlib import Path

from sottovoce.errors import InputError
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.utterance import AudioClip, Utterance

_SHOWN = 3


def refuse_overlap(training: Corpus, test: Corpus) -> None:
    """Raises:
    InputError: utterances of `test` are in `training` too, by their id and length or by the
        bytes of their audio; some are named.
    """
    found = overlapping(training, test)
    if found:
        named = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
        raise InputError(
            f"{len(found)} utterances of {test.name} are in {training.name} too: {named}; "
            "test on speech that was not trained on"
        )


def overlapping(training: Corpus, test: Corpus) -> list[str]:
    """Ids of the utterances of `test` that `training` holds too."""
    lengths = defaultdict(list)
    for one in training.utterances:
        lengths[_length(one)].append(one)
    hashes: dict[str, str] = {}
    return [
        one.id
        for one in test.utterances
        if any(
            other.id == one.id or _audio(other.audio, hashes) == _audio(one.audio, hashes)
            for other in lengths[_length(one)]
            if other.id == one.id or _size(other.audio) == _size(one.audio)
        )
    ]


def _length(utterance: Utterance) -> int:
    """Milliseconds."""
    return round(1000 * utterance.duration)


def _size(clip: AudioClip) -> int | None:
    """Of its file in bytes, so that few files have to be read; None where it is in no file."""
    return clip.source.stat().st_size if isinstance(clip.source, Path) else None


def _audio(clip: AudioClip, known: dict[str, str]) -> tuple[str, float, float | None]:
    """Equal for two clips of the same bytes."""
    if not isinstance(clip.source, Path):
        content = hashlib.sha256(clip.source()).hexdigest()
    else:
        name = str(clip.source)
        if name not in known:
            known[name] = hashlib.sha256(clip.source.read_bytes()).hexdigest()
        content = known[name]
    return content, clip.start, clip.duration
