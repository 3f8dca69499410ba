"""What goes into each layer, seen over calibration speech: histograms, in two passes."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from sottovoce.errors import InputError
from sottovoce.models.recogniser import Recogniser
from sottovoce.models.watching import Waveforms, run_watched
from sottovoce.quantizers.activations import Histogram, Range


@torch.no_grad()
def input_histograms(
    recogniser: Recogniser,
    layers: Mapping[str, nn.Module],
    batches: Callable[[], Iterator[Waveforms]],
) -> dict[str, Histogram]:
    """Layer name -> histogram of its inputs, padding left out.

    A layer that the model never calls (WavLM's attention reads the weights alone) is not in the
    result: its inputs stay in floating point.

    Args:
        batches: gives the calibration speech from its beginning, each time it is called.

    Raises:
        InputError: the speech leaves a layer's inputs constant (silence), or not finite.
    """
    ends: dict[str, tuple[float, float]] = {}

    def widen(name: str, values: Tensor) -> None:
        low, high = ends.get(name, (0.0, 0.0))
        ends[name] = min(low, float(values.min())), max(high, float(values.max()))

    run_watched(recogniser, layers, batches(), widen)
    for name, (low, high) in ends.items():
        if not np.isfinite([low, high]).all() or high - low <= 0:
            raise InputError(
                f"the calibration speech leaves the inputs of layer {name!r} between {low} and "
                f"{high}; calibrate with speech that is not silent"
            )
    histograms = {name: Histogram.over(Range(low, high)) for name, (low, high) in ends.items()}
    run_watched(recogniser, layers, batches(), lambda name, values: histograms[name].add(values))
    return histograms
