"""8-bit inputs and operands while a graph is traced."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.onnx.ops import symbolic

from sottovoce.artifact.attention import (
    MIDDLE,
    PROBABILITY_SCALE,
    QuantizedAttention,
    quantized_attentions,
    set_attention_quantizer,
)
from sottovoce.artifact.packed_layers import PackedLayer


class Rounding(nn.Module):
    """QuantizeLinear and DequantizeLinear, on a fixed range; only a graph can run it."""

    def __init__(self, scale: float, zero: int) -> None:
        super().__init__()
        self.scale = nn.Buffer(torch.tensor(scale))
        self.zero = nn.Buffer(torch.tensor(zero, dtype=torch.uint8))

    @classmethod
    def before(cls, layer: nn.Module) -> Self | None:
        """What a layer's inputs pass, if it is packed with 8-bit inputs."""
        if not isinstance(layer, PackedLayer) or layer.precision.input_bits is None:
            return None
        return cls(layer.input_scale.item(), int(layer.input_zero.item()))

    def codes(self, values: Tensor) -> Tensor:
        """uint8, of any shape."""
        inputs = values, self.scale, self.zero
        return symbolic("QuantizeLinear", inputs, dtype=torch.uint8, shape=values.shape)

    def values(self, codes: Tensor) -> Tensor:
        """The numbers that codes stand for."""
        inputs = codes, self.scale, self.zero
        return symbolic("DequantizeLinear", inputs, dtype=torch.float32, shape=codes.shape)

    def forward(self, values: Tensor) -> Tensor:
        return self.values(self.codes(values))

    def product(self, codes: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """What codes stand for, [..., columns], by a weight [rows, columns]: [..., rows]."""
        return linear(self.values(codes), weight, bias)


class _GraphAttentionQuantizer(nn.Module):
    """Rounds an attention's operands; only a graph can run it."""

    def __init__(self, operands: QuantizedAttention) -> None:
        super().__init__()
        self.roundings = nn.ModuleList(Rounding(one, MIDDLE) for one in operands.scale.tolist())
        self.of_probabilities = Rounding(PROBABILITY_SCALE, 0)

    def rounded(self, operand: int, values: Tensor) -> Tensor:
        found: Tensor = self.roundings[operand](values)
        return found

    def quantize_probabilities(self, values: Tensor) -> Tensor:
        found: Tensor = self.of_probabilities(values)
        return found


@contextmanager
def traceable_attention_quantizers(model: nn.Module) -> Iterator[None]:
    """Inside, what rounds the operands of attentions is what a graph can run."""
    attentions = quantized_attentions(model)
    for name, operands in attentions.items():
        set_attention_quantizer(model.get_submodule(name), _GraphAttentionQuantizer(operands))
    try:
        yield
    finally:
        for name, operands in attentions.items():
            set_attention_quantizer(model.get_submodule(name), operands)
