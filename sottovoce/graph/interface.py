"""What a program must know of an exported graph to use it."""

import json
from dataclasses import asdict, dataclass

from sottovoce.models.heads.ctc import frame_labels
from sottovoce.models.recogniser import Recogniser


@dataclass(frozen=True)
class Interface:
    """How speech goes in and frames come out.

    Attributes:
        input: "waveforms" [utterances, samples], or "features" [utterances, frames, channels] as
            the processor's feature extractor makes them.
        sampling_rate: of the waveforms, Hz.
        shortest: samples of the shortest waveform that yields a frame.
        first: samples from which on frames are counted.
        hop: samples from one frame to the next.
        written: what each output of the head adds to the text: letters, a space, or nothing.
        blank: CTC's blank label.
    """

    input: str
    sampling_rate: int
    shortest: int
    first: int
    hop: int
    written: tuple[str, ...]
    blank: int

    @classmethod
    def of(cls, recogniser: Recogniser) -> "Interface":
        """Read a recogniser's."""
        labels, shortest = frame_labels(recogniser), recogniser.shortest
        pieces = labels.pieces[: recogniser.outputs]
        second = _first_with(recogniser, 2, shortest)
        third = _first_with(recogniser, 3, second)
        return cls(
            input=recogniser.family.front_end.graph_input,
            sampling_rate=recogniser.sampling_rate,
            shortest=shortest,
            first=2 * second - third,
            hop=third - second,
            written=(*pieces, *[""] * (recogniser.outputs - len(pieces))),
            blank=labels.blank,
        )

    def check(self) -> None:
        """Raises ValueError where a field is none that a recogniser has."""
        for name, low, high in (
            ("sampling_rate", 1_000, 768_000),
            ("shortest", 1, 10_000_000),
            ("first", -10_000_000, 10_000_000),
            ("hop", 1, 10_000_000),
            ("blank", 0, len(self.written) - 1),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}; it must lie between {low:,} and {high:,}")
        if len(self.written) > 1_000_000 or not all(isinstance(one, str) for one in self.written):
            raise ValueError("written is no list of at most 1,000,000 strings")

    def frames_of(self, samples: int) -> int:
        """Frames that a waveform yields."""
        return 0 if samples < self.shortest else (samples - self.first) // self.hop + 1

    def to_metadata(self) -> dict[str, str]:
        """As the metadata of an ONNX file holds it: every value is JSON."""
        return {name: json.dumps(value) for name, value in asdict(self).items()}


def _first_with(recogniser: Recogniser, frames: int, samples: int) -> int:
    """The first length from `samples` on that yields so many frames."""
    while recogniser.frames_of(samples) < frames:
        samples += 1
    return samples
