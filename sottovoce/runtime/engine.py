"""What transcription needs of something that runs a model, whichever runtime it is."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from sottovoce.speech.labels import Labels


class Engine(Protocol):
    """A CTC model at work: waveforms in, frame logits out."""

    @property
    def sampling_rate(self) -> int:
        """Of the waveforms, Hz."""

    @property
    def shortest(self) -> int:
        """Samples of the shortest waveform that yields one frame."""

    @property
    def labels(self) -> Labels:
        """What the logits' columns write."""

    @property
    def place(self) -> str:
        """Where it runs: a device of PyTorch, or a runtime."""

    def frames_of(self, samples: int) -> int:
        """Frames that a waveform of `samples` samples yields."""

    def frame_logits(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Unnormalised log-probabilities, [frames, labels] float32 each, padding cut off.

        Args:
            waveforms: mono float32 at `sampling_rate`, each at least `shortest` samples long; in
                a batch each yields what it yields alone.
        """
