"""An engine of plain arithmetic, whose context is known to the sample."""

from collections.abc import Sequence

import numpy as np

from sottovoce.models.heads.ctc import greedy_texts
from sottovoce.speech.labels import Labels

STEP, FIELD, RADIUS = 10, 25, 3


class Convolutions:
    """Frames of `FIELD` samples every `STEP`, then a convolution over `RADIUS` frames either side.

    Attributes:
        heard: the length of each waveform, batch by batch.
    """

    sampling_rate = 1000
    labels = Labels({0: "", 1: "a", 2: "b", 3: " "}, 0, str, writes_lower_case=False)

    def __init__(self, padding: int = 0) -> None:
        random = np.random.default_rng(0)
        self.padding = padding
        self.shortest = FIELD - 2 * padding
        self.weight = random.standard_normal((FIELD, len(self.labels.written)))
        self.taps = random.standard_normal(2 * RADIUS + 1)
        self.heard: list[list[int]] = []

    def frames_of(self, samples: int) -> int:
        return max(0, (samples - self.shortest) // STEP + 1)

    hears_whole_recordings = False

    def recognise(self, waveforms: Sequence[np.ndarray]) -> list[str | None]:
        return greedy_texts(self.labels, self.frame_logits(waveforms))

    def decode(self, frames: np.ndarray) -> str:
        return self.labels.decode(frames)

    def frame_logits(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        self.heard.append([len(one) for one in waveforms])
        return [self._logits(one) for one in waveforms]

    def _logits(self, waveform: np.ndarray) -> np.ndarray:
        padded = np.pad(waveform, self.padding)
        frames = np.lib.stride_tricks.sliding_window_view(padded, FIELD)[::STEP] @ self.weight
        seen = np.pad(frames, ((RADIUS, RADIUS), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(seen, 2 * RADIUS + 1, axis=0)
        return (windows @ self.taps).astype(np.float32)
