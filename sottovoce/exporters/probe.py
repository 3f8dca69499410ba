"""What an export should compute: a short waveform and the logits that PyTorch gives for it.

The same graph computes other numbers on another processor where a runtime's kernel for that
processor is wrong: OpenVINO 2026.4 does with 8-bit convolutions on AMX, ONNX Runtime with 8-bit
products on processors without VNNI. So every export carries its answer, and whoever runs the graph
compares (docs/decisions/0026).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from sottovoce.artifact.attention import quantized_attentions
from sottovoce.artifact.packed_model import packed_layers
from sottovoce.errors import InputError
from sottovoce.models.recogniser import Recogniser

PROBE_FILE = "probe.safetensors"
EXACT = 1e-3
ROUNDED = 0.1
"""Root mean square of the differences over that of the logits. Kernels add up in other orders; an
8-bit input between two codes may fall to either, which moves what follows by steps."""
_SECONDS = 0.5
_FULL_SCALE = 2.0**15


class Recognises(Protocol):
    """A model that is run, whichever runtime runs it."""

    def frame_logits(self, waveforms: list[np.ndarray]) -> list[np.ndarray]:
        """Each waveform's logits, [frames, labels]."""


@dataclass(frozen=True)
class Probe:
    """A waveform with its logits.

    Attributes:
        waveform: int16 [samples].
        logits: float32 [frames, labels], PyTorch's.
        tolerance: how far another runtime's may be, as `difference` counts.
    """

    waveform: np.ndarray
    logits: np.ndarray
    tolerance: float

    @classmethod
    def of(cls, recogniser: Recogniser) -> Self:
        """Run a recogniser in PyTorch.

        The waveform is noise that changes slowly, as speech does: white noise would hide what
        rounding does to its statistics.
        """
        samples = max(recogniser.shortest, round(_SECONDS * recogniser.sampling_rate))
        white = np.random.default_rng(0).standard_normal(samples)
        slow = np.convolve(white, 0.95 ** np.arange(100), mode="same")
        waveform = np.round(slow / np.abs(slow).max() * 0.9 * _FULL_SCALE).astype(np.int16)
        layers = packed_layers(recogniser.model).values()
        rounds_inputs = any(layer.precision.input_bits for layer in layers)
        rounds = rounds_inputs or bool(quantized_attentions(recogniser.model))
        (logits,) = recogniser.frame_logits([_samples(waveform)])
        return cls(waveform, logits, ROUNDED if rounds else EXACT)

    def difference(self, engine: Recognises) -> float:
        """Root mean square of what the engine's logits differ by, over that of the logits;
        infinite where they have another shape or are not finite."""
        (logits,) = engine.frame_logits([_samples(self.waveform)])
        if logits.shape != self.logits.shape or not np.isfinite(logits).all():
            return float("inf")
        return _root_mean_square(logits - self.logits) / (_root_mean_square(self.logits) or 1.0)

    def write(self, folder: Path) -> None:
        """Save it in an exported folder."""
        # safetensors writes memory as it lies, and logits may lie turned around
        tensors = {"waveform": self.waveform, "logits": np.ascontiguousarray(self.logits)}
        save_file(tensors, folder / PROBE_FILE, metadata={"tolerance": repr(self.tolerance)})

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Load an exported folder's.

        Raises:
            InputError: it has none, or a damaged one.
        """
        file = folder / PROBE_FILE
        if not file.is_file():
            raise InputError(
                f"{folder} has no {PROBE_FILE}, so whether it computes the right thing on this "
                "processor cannot be checked; export the model again"
            )
        try:
            with safe_open(file, framework="np") as header:
                tolerance = float((header.metadata() or {})["tolerance"])
            tensors = load_file(file)
            return cls(tensors["waveform"], tensors["logits"], tolerance)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise InputError(f"{file} is damaged ({error}); export the model again") from error


def _samples(waveform: np.ndarray) -> np.ndarray:
    return (waveform / _FULL_SCALE).astype(np.float32)


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
