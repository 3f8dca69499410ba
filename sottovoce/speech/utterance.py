"""An utterance, and where its samples are to be had."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO

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
        signed: its signature, where whoever made it has had the bytes at hand.
    """

    source: Path | Callable[[], bytes]
    start: float = 0.0
    duration: float | None = None
    name: str = ""
    signed: str = ""

    def __str__(self) -> str:
        return self.name or str(self.source)

    @property
    def signature(self) -> str:
        """`signature_of` the encoded audio."""
        if self.signed:
            return self.signed
        if not isinstance(self.source, Path):
            return signature_of(BytesIO(self.source()))
        with self.source.open("rb") as file:
            return signature_of(file)


def signature_of(encoded: BinaryIO) -> str:
    """Differs, as good as always, where encoded audio does: its size and a piece of its middle."""
    size = encoded.seek(0, SEEK_END)
    encoded.seek(size // 2)
    piece = hashlib.sha256(encoded.read(_SIGNED_BYTES)).hexdigest()
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


def in_utf8(text: str) -> bool:
    """Whether UTF-8 has a form for all of it: it has none for half a surrogate pair, which JSON may
    hold, nor for the bytes of a file name that are none themselves."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
