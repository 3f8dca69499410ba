"""A layer fitted to rounded inputs: the range, weight and bias that change its outputs least.

Speech is loud for moments and quiet most of the time, and what the front end says of quiet frames
is made as large as the rest by the layer norm behind it. So a frame's error counts relative to what
the layer puts out there,

    error = sum_t |W x^_t + b - y_t|^2 / (|y_t|^2 + FLOOR mean|y|^2)

with x^ the inputs as the quantized layers before make them, rounded, and y what the layer puts out
in full precision. The range is the one of several percentiles of the least error; W and b then
solve the least squares (no labels, no gradients), W stays close to what it was, and is rounded.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from sottovoce.artifact.packed_layers import bias_of
from sottovoce.models.recogniser import Recogniser
from sottovoce.ptq.layers import Layer, Quantized, quantized_layers, round_weight
from sottovoce.ptq.observing import Waveforms, run_observed
from sottovoce.quantization.activations import (
    Histogram,
    Range,
    fake_quantize_inputs,
    percentile_range,
)
from sottovoce.quantization.plan import Precision

FLOOR = 0.01
PERCENTILES = (100.0, *(100 - np.logspace(-3, 1, 25)))
_BITS = 8
_DAMPING = 1e-3
_LEAST_POWER = 1e-12
_WINDOWS = 2**15
_NUMBERS = 2**25
"""In all windows of a layer, at most: 128 MiB, and what the least squares take."""
_MULTIPLY_ADDS = 2**32
"""For one percentile, which is chosen by fewer windows where a layer is large."""


@dataclass(frozen=True)
class Fitted:
    """A layer fitted twice.

    Attributes:
        rounding: with rounded inputs.
        floating: with inputs in floating point, still behind the layers before.
        harm: the relative error of the first that the second does not have.
    """

    rounding: Quantized
    floating: Quantized
    harm: float


def can_be_fitted(layer: Layer) -> bool:
    """Not in two dimensions, nor where every group of a convolution has windows of its own.

    Nor a class of a model's own: it may take its inputs in another order.
    """
    one_group = type(layer) is nn.Conv1d and layer.groups == 1
    return isinstance(layer, nn.Linear) or one_group


@torch.no_grad()
def refit_layer(
    recogniser: Recogniser,
    layers: Mapping[str, Layer],
    name: str,
    before: Mapping[str, Quantized],
    histogram: Histogram,
    batches: Callable[[], Iterator[Waveforms]],
    utterances: int,
) -> Fitted:
    """Fit layer `name`.

    It has seven parameters: a layer among others, and speech whose length is known.

    Args:
        before: the layers quantized so far, which make the inputs.
        histogram: of the layer's inputs.
        batches: the calibration speech from its beginning, at each call, `utterances` in all.
    """
    layer = layers[name]
    rows, columns = layer.weight.flatten(1).shape
    windows, outputs = _seen(recogniser, layers, name, before, batches, utterances)
    power = outputs.square().sum(1)
    share = 1 / (power + FLOOR * power.mean()).clamp_min(_LEAST_POWER)
    share /= share.sum()

    few = slice(None, None, -(-len(windows) * rows * columns // _MULTIPLY_ADDS))
    share_of_few = share[few] / share[few].sum()

    def error(span: Range) -> float:
        left = outputs[few] - _rounded(windows[few], span) @ layer.weight.flatten(1).T
        left -= share_of_few @ left
        return float(share_of_few @ left.square().sum(1))

    def fitted(inputs: Tensor, span: Range | None) -> tuple[Quantized, float]:
        quantized = round_weight(_solved(inputs, outputs, share, layer), Precision(_BITS))
        left = outputs - inputs @ quantized.weight.flatten(1).T
        bias = None
        if layer.bias is not None:
            bias = share @ left
            left -= bias
        return replace(quantized, inputs=span, bias=bias), float(share @ left.square().sum(1))

    span = min((percentile_range(histogram, percent) for percent in PERCENTILES), key=error)
    rounding, larger = fitted(_rounded(windows, span), span)
    floating, smaller = fitted(windows, None)
    return Fitted(rounding, floating, larger - smaller)


def _solved(inputs: Tensor, outputs: Tensor, share: Tensor, layer: Layer) -> Tensor:
    """The weight of least error, rounded to nothing yet."""
    weight = layer.weight.flatten(1)
    left = outputs - inputs @ weight.T
    if layer.bias is not None:  # a bias takes the mean away, so that the weight need not
        inputs, left = inputs - share @ inputs, left - share @ left
    shared = (inputs * share.unsqueeze(1)).T
    moments = (shared @ inputs).double()
    moments.diagonal().add_(_DAMPING * moments.diagonal().mean())
    change = torch.linalg.solve(moments, (shared @ left).double()).T
    return (weight + change.float()).view_as(layer.weight)


def _rounded(windows: Tensor, span: Range) -> Tensor:
    """Round windows as 8-bit kernels see them."""
    scale, zero = windows.new_tensor([span.scale]), windows.new_tensor([float(span.zero)])
    return fake_quantize_inputs(windows, scale, zero)


def _seen(
    recogniser: Recogniser,
    layers: Mapping[str, Layer],
    name: str,
    before: Mapping[str, Quantized],
    batches: Callable[[], Iterator[Waveforms]],
    utterances: int,
) -> tuple[Tensor, Tensor]:
    """Windows of what goes in behind quantized layers, [windows, columns], and what comes out in
    full precision, [windows, rows]: as many of every utterance, drawn once and for all."""
    layer, generator = layers[name], torch.Generator().manual_seed(0)
    most = min(_WINDOWS, _NUMBERS // layer.weight[0].numel())
    windows, outputs = [], []
    for waveforms in batches():
        for waveform in waveforms:
            exact = _windows(layer, _inputs(recogniser, layers, name, waveform))
            with quantized_layers(layers, before):
                behind = _windows(layer, _inputs(recogniser, layers, name, waveform))
            drawn = torch.randperm(len(exact), generator=generator)
            drawn = drawn[: max(1, most // utterances)].to(exact.device)
            windows.append(behind[drawn])
            outputs.append(exact[drawn] @ layer.weight.flatten(1).T)
    exact_outputs = torch.cat(outputs)
    bias = bias_of(layer)
    return torch.cat(windows), exact_outputs if bias is None else exact_outputs + bias


class _Reached(Exception):  # noqa: N818 - nothing went wrong
    """The layer was called; the rest of the model need not run."""


def _inputs(
    recogniser: Recogniser, layers: Mapping[str, Layer], name: str, waveform: np.ndarray
) -> Tensor:
    """Return a layer's inputs for one utterance."""
    seen: list[Tensor] = []

    def see(_: str, inputs: Tensor) -> None:
        seen.append(inputs)
        raise _Reached

    with suppress(_Reached):
        run_observed(recogniser, {name: layers[name]}, iter([[waveform]]), see)
    return seen[0]


def _windows(layer: Layer, inputs: Tensor) -> Tensor:
    """Return the inputs that each output is computed from, [outputs, columns of the weight]."""
    if not isinstance(layer, nn.Conv1d):
        return inputs.flatten(0, -2)
    (taps,), (stride,), (dilation,) = layer.kernel_size, layer.stride, layer.dilation
    padded = pad(inputs[0], layer._reversed_padding_repeated_twice)
    windows = padded.unfold(1, (taps - 1) * dilation + 1, stride)[..., ::dilation]
    return windows.transpose(0, 1).flatten(1)
