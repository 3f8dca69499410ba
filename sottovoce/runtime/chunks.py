"""Long recordings cut into chunks that a model can hear at once.

Attention costs the square of the length, so a long recording is heard in overlapping chunks. Of
each, the frames at either end only give the others their context and are dropped; what is left of
all chunks, put together, has each frame of the recording once, in order.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np

from sottovoce.errors import InputError
from sottovoce.runtime.chunking import Chunking
from sottovoce.runtime.engine import Engine
from sottovoce.speech.audio import Samples


@dataclass(frozen=True)
class Chunk:
    """A stretch of a recording as a model hears it.

    Attributes:
        samples: [samples].
        kept: which of its frames are not context.
        last: whether the recording ends with it.
    """

    samples: Samples
    kept: slice
    last: bool


@dataclass(frozen=True)
class Cutter:
    """`Chunking` in the samples and frames of one engine.

    A chunk begins where one of the recording's frames begins, so its frames are the recording's.

    Attributes:
        samples: in a chunk.
        context: frames that are dropped at an end with another chunk beyond it.
        samples_per_frame: from one frame's beginning to the next one's.
        frames_of: the engine's.
    """

    samples: int
    context: int
    samples_per_frame: int
    frames_of: Callable[[int], int]

    @classmethod
    def of(cls, engine: Engine, chunking: Chunking) -> "Cutter":
        """Raises:
        InputError: the context leaves no frame of a chunk.
        """
        samples = round(chunking.chunk * engine.sampling_rate)
        step = samples_per_frame(engine)
        context = ceil(chunking.context * engine.sampling_rate / step)
        if engine.frames_of(samples) <= 2 * context:
            raise InputError(
                f"a context of {chunking.context:g} s leaves no frame of a chunk of "
                f"{chunking.chunk:g} s; lengthen the chunk"
            )
        return cls(samples, context, step, engine.frames_of)

    def cut(self, blocks: Iterable[Samples]) -> Iterator[Chunk]:
        """The chunks of a recording, which arrives in blocks of any length.

        All have the same length: the last one reaches further back than it must, rather than be
        short. No more than two chunks and a block are held at once.
        """
        frames = self.frames_of(self.samples)
        advance = frames - 2 * self.context
        held = np.empty(0, np.float32)
        begin, kept = 0, 0  # in frames of what is held: the next chunk; what is kept already
        for block in blocks:
            held = np.concatenate((held, block))
            while self.frames_of(len(held) - begin * self.samples_per_frame) > frames:
                held, kept = held[begin * self.samples_per_frame :], kept - begin
                yield Chunk(held[: self.samples], slice(kept, frames - self.context), last=False)
                begin, kept = advance, frames - self.context
        last = max(0, self.frames_of(len(held)) - frames)
        yield Chunk(held[last * self.samples_per_frame :], slice(kept - last, None), last=True)


def samples_per_frame(engine: Engine) -> int:
    """Samples between the beginnings of two frames, away from a recording's ends."""
    hundred, more = (bisect_left(range(1 << 24), n, key=engine.frames_of) for n in (100, 101))
    return more - hundred
