"""A corpus, and what a kind of corpus must be able to do."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from sottovoce.errors import AudioError, InputError
from sottovoce.speech.utterance import Utterance, in_utf8


@dataclass(frozen=True)
class Source:
    """A kind of corpus that can be read.

    Attributes:
        description: what it looks like on disk, in a few words.
        recognises: whether a path holds such a corpus; looks, and never raises.
        read: its utterances, or in the place of one why its audio cannot be read; raises
            `InputError` where they cannot be had, or where transcripts are asked for (second
            argument) and one lacks.
    """

    description: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, bool], Iterable[Utterance | AudioError]]


def utterance_or_error(make: Callable[[], Utterance]) -> Utterance | AudioError:
    """An utterance, or why its audio cannot be read."""
    try:
        return make()
    except AudioError as error:
        return error


@dataclass(frozen=True)
class Speech:
    """Where speech is, and what becomes of utterances whose audio cannot be read.

    Every function that takes the path of a corpus takes this in its place.
    """

    path: str | Path
    skip_broken: bool = False

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)


SpeechPath = str | Path | Speech


@dataclass(frozen=True)
class Corpus:
    """Utterances under one name.

    Raises:
        InputError: two utterances share an id, which would pair the wrong transcripts in a test;
            one has none, or text that no file can hold.
    """

    name: str
    utterances: tuple[Utterance, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for utterance in self.utterances:
            if not utterance.id:
                raise InputError(f"an utterance of {self.name} has an empty id; give it one")
            if not in_utf8(f"{utterance.id}{utterance.text}{utterance.speaker}"):
                raise InputError(
                    f"utterance {utterance.id!r} of {self.name} has text with half a character "
                    "(a lone surrogate), which UTF-8 has no form for; mend it"
                )
            if utterance.id in seen:
                raise InputError(
                    f"two utterances of {self.name} have the id {utterance.id!r}; give each its own"
                )
            seen.add(utterance.id)

    @property
    def hours(self) -> float:
        return sum(utterance.duration for utterance in self.utterances) / 3600

    @cached_property
    def fingerprint(self) -> str:
        """Changes with any utterance's id, length, transcript or speaker; not where broken audio is
        mended, so that a run may go on."""
        digest = hashlib.sha256()
        for one in self.utterances:
            digest.update(f"{one.id}\0{one.duration}\0{one.text}\0{one.speaker}\0".encode())
        return digest.hexdigest()[:16]

    @cached_property
    def audio_fingerprint(self) -> str:
        """Changes with the audio of any utterance too: what was computed from it may be kept."""
        digest = hashlib.sha256(self.fingerprint.encode())
        for one in self.utterances:
            digest.update(f"{one.audio.signature}\0{one.audio.start}\0".encode())
        return digest.hexdigest()[:16]

    @cached_property
    def by_id(self) -> Mapping[str, Utterance]:
        return MappingProxyType({utterance.id: utterance for utterance in self.utterances})
