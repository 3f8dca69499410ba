"""Layers quantized in place for a while: weight and inputs as the packed model will have them."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from sottovoce.artifact.packed_layers import WeightedLayer, bias_of
from sottovoce.models.recogniser import Recogniser
from sottovoce.models.weight_norm import fold_weight_norm
from sottovoce.quantization.activations import Range, fake_quantize_inputs
from sottovoce.quantization.affine import Affine
from sottovoce.quantization.plan import Precision
from sottovoce.quantization.ranges import initial_affine
from sottovoce.sensitivity.replacing import replaced_weights, set_values
from sottovoce.sensitivity.trials import Trial

Layer = WeightedLayer


@dataclass(frozen=True)
class Quantized:
    """A layer's quantized weight, and what comes with it.

    Attributes:
        weight: on its grid, of the layer's shape.
        affine: scales and offsets of the weight.
        inputs: range of what goes in; None leaves it in floating point.
        bias: [rows], in the place of the bias that the layer has; None leaves that.
    """

    weight: Tensor
    affine: Affine
    inputs: Range | None = None
    bias: Tensor | None = None


def quantizable_layers(recogniser: Recogniser) -> dict[str, Layer]:
    """Every layer with a weight, input to output; weight norms are folded for good."""
    model, cnns = recogniser.model, recogniser.family.cnns(recogniser.model)
    names = {*cnns, *recogniser.family.shapes(model)}
    layers = {name: layer for name, layer in model.named_modules() if name in names}
    for layer in layers.values():
        fold_weight_norm(layer)
    return layers


@torch.no_grad()
def round_weight(weight: Tensor, precision: Precision, rule: str = "mse") -> Quantized:
    """Round a weight, its scales by one of `RANGES`."""
    quantizer, matrix = precision.quantizer, weight.detach().flatten(1)
    affine = initial_affine(matrix, quantizer, rule)
    return Quantized(quantizer.rounded(matrix, affine).view_as(weight), affine)


@contextmanager
def quantized_layers(layers: Mapping[str, Layer], by: Mapping[str, Quantized]) -> Iterator[None]:
    """Context manager: the layers named in `by` are quantized."""
    weights = {name: quantized.weight for name, quantized in by.items()}
    with replaced_weights(layers, weights), ExitStack() as stack:
        for name, quantized in by.items():
            layer = layers[name]
            bias = bias_of(layer)
            if quantized.bias is not None and bias is not None:
                stack.callback(set_values, bias, bias.data)
                set_values(bias, quantized.bias)
            if quantized.inputs is not None:
                hook = QuantizeInputs(quantized.inputs, layer.weight.device)
                stack.callback(layer.register_forward_pre_hook(hook).remove)
        yield


def quantizing(layers: Mapping[str, Layer], by: Mapping[str, Quantized]) -> Trial:
    """Return the trial of layers quantized together.

    Args:
        layers: in the order of computation.
        by: what some of them become.
    """
    first = next(name for name in layers if name in by)
    return Trial(first, partial(quantized_layers, layers, by))


class QuantizeInputs:
    """A forward pre-hook: what goes into a layer takes 8 bits."""

    def __init__(self, span: Range, device: torch.device) -> None:
        self.scale = torch.tensor([span.scale], device=device)
        self.zero = torch.tensor([float(span.zero)], device=device)

    def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (fake_quantize_inputs(inputs[0], self.scale, self.zero), *inputs[1:])
