"""What transcription needs of something that runs a model, whichever runtime it is."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from sottovoce.speech.labels import Vocabulary


class Engine(Protocol):
    """A model at work: waveforms in, text out."""

    @property
    def sampling_rate(self) -> int:
        """Of the waveforms, Hz."""

    @property
    def shortest(self) -> int:
        """Samples of the shortest waveform that yields one frame."""

    @property
    def labels(self) -> Vocabulary:
        """How it writes."""

    @property
    def place(self) -> str:
        """Where it runs: a device of PyTorch, or a runtime."""

    def frames_of(self, samples: int) -> int:
        """Frames that a waveform of `samples` samples yields."""

    def recognise(self, waveforms: Sequence[np.ndarray]) -> list[str | None]:
        """Transcripts; None where the model's outputs are not finite.

        Args:
            waveforms: mono float32 at `sampling_rate`, each at least `shortest` samples long; in
                a batch each yields what it yields alone.
        """

    @property
    def hears_whole_recordings(self) -> bool:
        """Whether `recognise` takes waveforms of any length; else recordings are cut, and their
        frames joined again."""

    def frame_logits(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Unnormalised log-probabilities, [frames, labels] float32 each, padding cut off; the
        waveforms as in `recognise`.

        Raises:
            InputError: the model has no distribution over labels at every frame, as CTC models do.
        """

    def decode(self, frames: np.ndarray) -> str:
        """The transcript of the best label of each frame; raises InputError as `frame_logits`."""
