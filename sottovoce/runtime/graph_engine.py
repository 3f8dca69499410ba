"""An exported graph as an engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sottovoce.graph.interface import Interface
from sottovoce.models.heads.ctc import greedy_texts
from sottovoce.speech.labels import Labels

Run = Callable[[np.ndarray], np.ndarray]
"""Input [1, ...] -> logits [1, frames, labels]."""


@dataclass(frozen=True)
class GraphEngine:
    """Runs a graph utterance by utterance, so that nothing is padded and nothing masked.

    Attributes:
        place: name of the runtime.
        run: the graph in it.
        prepare: a waveform as the graph wants it.
    """

    place: str
    run: Run
    prepare: Callable[[np.ndarray], np.ndarray]
    interface: Interface
    labels: Labels

    @property
    def sampling_rate(self) -> int:
        return self.interface.sampling_rate

    @property
    def shortest(self) -> int:
        return self.interface.shortest

    def frames_of(self, samples: int) -> int:
        return self.interface.frames_of(samples)

    def frame_logits(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [self.run(self.prepare(waveform))[0] for waveform in waveforms]

    @property
    def hears_whole_recordings(self) -> bool:
        return False

    def decode(self, frames: np.ndarray) -> str:
        return self.labels.decode(frames)

    def recognise(self, waveforms: Sequence[np.ndarray]) -> list[str | None]:
        return greedy_texts(self.labels, self.frame_logits(waveforms))
