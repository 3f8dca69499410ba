"""What a program must know of an exported graph to use it."""

import json
from dataclasses import asdict, dataclass

from sottovoce.models.recogniser import Recogniser


@dataclass(frozen=True)
class Interface:
    """How waveforms go in and frames come out.

    Attributes:
        sampling_rate: of the waveforms, Hz.
        shortest: samples of the shortest waveform that yields a frame.
        hop: samples from one frame to the next.
        written: what each label writes: a letter or several, a space, or nothing.
        blank: CTC's blank label.
    """

    sampling_rate: int
    shortest: int
    hop: int
    written: tuple[str, ...]
    blank: int

    @classmethod
    def of(cls, recogniser: Recogniser) -> "Interface":
        """Read a recogniser's."""
        labels, shortest = recogniser.labels, recogniser.shortest
        second = shortest
        while recogniser.frames_of(second) < 2:
            second += 1
        return cls(
            sampling_rate=recogniser.sampling_rate,
            shortest=shortest,
            hop=second - shortest,
            written=tuple(labels.written[label] for label in sorted(labels.written)),
            blank=labels.blank,
        )

    def frames_of(self, samples: int) -> int:
        """Frames that a waveform yields."""
        return 0 if samples < self.shortest else (samples - self.shortest) // self.hop + 1

    def to_metadata(self) -> dict[str, str]:
        """As the metadata of an ONNX file holds it: every value is JSON."""
        return {name: json.dumps(value) for name, value in asdict(self).items()}
