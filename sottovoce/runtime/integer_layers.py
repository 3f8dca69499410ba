"""Layers with 8-bit inputs, computed by PyTorch itself.

A linear layer, and a convolution that is computed frames first, multiplies whole numbers. With the
codes a of its inputs, their zero z and scale s, and the whole numbers w of its weight and their
scales t,

    y[r] = (sum_k a[k] w[r, k] - z sum_k w[r, k]) * s t[r] + b[r]

is what the packed layer computes; the two sums are exact. Other convolutions, and weights that are
no whole numbers times a scale for each row, multiply the rounded inputs in floating point.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from sottovoce.artifact.packed_layers import PackedConv1d, PackedLayer, PackedLinear
from sottovoce.graph import quantize_ops as symbolic
from sottovoce.graph.channels_last import Frames, taps_before_channels
from sottovoce.graph.int8_weights import Int8Weights, int8_obstacle
from sottovoce.quantization.activations import input_codes

_MIDDLE = 128  # from codes 0 ... 255 to int8
_MULTIPLE, _MORE_ROWS = 8, 16  # CUDA's products want dimensions of eights, and 17 rows at least


def round_inputs(model: nn.Module, packed: Mapping[str, PackedLayer]) -> None:
    """Give the layers of a traceable model that have 8-bit inputs what PyTorch can run.

    Args:
        model: inside `traceable`; changed in place.
        packed: layer name -> what stood there before.
    """
    for name, layer in packed.items():
        if layer.precision.input_bits is None:
            continue
        standing = model.get_submodule(name)
        exact = int8_obstacle(layer.precision, layer.matrix_shape) is None
        if exact and isinstance(layer, PackedLinear):
            model.set_submodule(name, _IntegerLinear(name, layer))
        elif exact and isinstance(standing, Frames) and not _hears_the_waveform(layer):
            standing.rounding = _IntegerProduct(name, layer)
            standing.weight = standing.rounding.weight
        else:
            standing.rounding = _Rounding(layer)


def _hears_the_waveform(layer: PackedLayer) -> bool:
    """With so few columns floating point costs no more, and a group norm can be folded."""
    return isinstance(layer, PackedConv1d) and layer.in_channels == 1


class _Rounding(symbolic.Rounding):
    """Run, not traced to operators of ONNX."""

    def __init__(self, layer: PackedLayer) -> None:
        # Numbers, not tensors: layers with the same inputs then share what is compiled.
        self.range = layer.input_scale.item(), int(layer.input_zero.item())
        super().__init__(*self.range)
        self.dtype = layer.dtype

    def codes(self, values: Tensor) -> Tensor:
        """int8, of any shape: 128 less."""
        return input_codes(values.float(), *self.range).sub_(_MIDDLE).to(torch.int8)

    def values(self, codes: Tensor) -> Tensor:
        scale, zero = self.range
        return ((codes.float() - (zero - _MIDDLE)) * scale).to(self.dtype)


class _IntegerProduct(_Rounding):
    """With the weight, int8 [rows, columns] made multiples of eight with zeros."""

    def __init__(self, name: str, layer: PackedLayer) -> None:
        super().__init__(layer)
        whole, (scale, zero) = Int8Weights.of(name, layer), self.range
        numbers = whole.signed(layer.unsigned_codes)
        self.scales = nn.Buffer(whole.scale.flatten() * scale)
        self.of_zero = nn.Buffer(numbers.sum(1, dtype=torch.int32) * (zero - _MIDDLE))
        if isinstance(layer, PackedConv1d):
            numbers = taps_before_channels(numbers.view(layer.weight_shape))
        self.rows, columns = numbers.shape
        self.more_columns = -columns % _MULTIPLE
        padded = pad(numbers, (0, self.more_columns, 0, -self.rows % _MULTIPLE))
        self.weight = nn.Parameter(padded, requires_grad=False)

    def product(self, codes: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        matrix = codes.flatten(0, -2)
        padded = pad(matrix, (0, self.more_columns, 0, _MORE_ROWS))
        sums = torch._int_mm(padded, weight.T)[: matrix.shape[0], : self.rows]
        values = (sums - self.of_zero) * self.scales
        shifted = values if bias is None else values + bias
        return shifted.to(self.dtype).unflatten(0, codes.shape[:-1])


class _IntegerLinear(nn.Module):
    def __init__(self, name: str, layer: PackedLinear) -> None:
        super().__init__()
        self.rounding = _IntegerProduct(name, layer)
        self.bias = layer.bias

    def forward(self, inputs: Tensor) -> Tensor:
        codes = self.rounding.codes(inputs)
        return self.rounding.product(codes, self.rounding.weight, self.bias)
