"""An utterance, and where its samples are to be had."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AudioClip:
    """A stretch of encoded audio, not yet read.

    Attributes:
        source: a file, or a function that fetches an encoded file's bytes. A function, so that a
            corpus kept as bytes is not held in memory whole.
        start: seconds into the source.
        duration: seconds; None is to the source's end.
        name: what messages call it, where it has no path.
    """

    source: Path | Callable[[], bytes]
    start: float = 0.0
    duration: float | None = None
    name: str = ""

    def __str__(self) -> str:
        return self.name or str(self.source)


@dataclass(frozen=True)
class Utterance:
    """One utterance.

    Attributes:
        id: unique in its corpus.
        duration: seconds.
        text: the transcript as the corpus writes it; empty where there is none.
        speaker: empty where unknown.
    """

    id: str
    audio: AudioClip
    duration: float
    text: str
    speaker: str = ""
