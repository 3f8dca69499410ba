"""An utterance, and where its samples are to be had."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from os import SEEK_END
from pathlib import Path

_SIGNED_BYTES = 4096


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

    @property
    def signature(self) -> str:
        """Differs, as good as always, where the encoded audio does: its size and a piece of its
        middle."""
        with (
            self.source.open("rb")
            if isinstance(self.source, Path)
            else BytesIO(self.source()) as file
        ):
            size = file.seek(0, SEEK_END)
            file.seek(size // 2)
            piece = hashlib.sha256(file.read(_SIGNED_BYTES)).hexdigest()
        return f"{size} {piece}"


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
