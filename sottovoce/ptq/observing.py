"""Histograms of each layer's inputs over calibration speech, in two passes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from sottovoce.errors import InputError
from sottovoce.models.recogniser import Recogniser
from sottovoce.quantization.activations import Histogram, Range

Waveforms = Sequence[np.ndarray]

PASSES_OF_RANGES = 2
"""How often `input_histograms` runs the speech."""


@torch.no_grad()
def input_histograms(
    recogniser: Recogniser,
    layers: Mapping[str, nn.Module],
    batches: Callable[[], Iterator[Waveforms]],
) -> dict[str, Histogram]:
    """Layer name -> histogram of its inputs, padding left out.

    A layer that the model never calls (WavLM's attention reads the weights alone) is not in the
    result, nor is an embedding: its inputs stay as they are.

    Args:
        batches: gives the calibration speech from its beginning, each time it is called.

    Raises:
        InputError: the speech leaves a layer's inputs constant (silence), or not finite.
    """
    ends: dict[str, tuple[float, float]] = {}

    def widen(name: str, values: Tensor) -> None:
        low, high = ends.get(name, (0.0, 0.0))
        ends[name] = min(low, float(values.min())), max(high, float(values.max()))

    run_observed(recogniser, layers, batches(), widen)
    for name, (low, high) in ends.items():
        if not np.isfinite([low, high]).all() or high - low <= 0:
            raise InputError(
                f"the calibration speech leaves the inputs of layer {name!r} between {low} and "
                f"{high}; calibrate with speech that is not silent"
            )
    histograms = {name: Histogram.over(Range(low, high)) for name, (low, high) in ends.items()}
    run_observed(recogniser, layers, batches(), lambda name, values: histograms[name].add(values))
    return histograms


def run_observed(
    recogniser: Recogniser,
    layers: Mapping[str, nn.Module],
    batches: Iterator[Waveforms],
    see: Callable[[str, Tensor], None],
) -> None:
    """Show `see` what goes into each layer, utterance by utterance."""
    with recogniser.evaluating():
        for waveforms in batches:
            for waveform in waveforms:  # one by one, there is no padding to be seen
                with _watched(layers, see):
                    recogniser.logits(recogniser.features([waveform]))


@contextmanager
def _watched(layers: Mapping[str, nn.Module], see: Callable[[str, Tensor], None]) -> Iterator[None]:
    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, inputs: see(name, inputs[0])

    with ExitStack() as stack:
        for name, layer in layers.items():
            if isinstance(layer, nn.Embedding):
                continue
            stack.callback(layer.register_forward_pre_hook(hook(name)).remove)
        yield
