"""Layers whose weight is stored as packed codes and scales: linear ones and convolutions."""

import copy
from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv2d, embedding, linear
from transformers.models.parakeet import modeling_parakeet
from transformers.models.whisper.modeling_whisper import WhisperPositionalEmbedding

from sottovoce.artifact.packing import pack, unpack
from sottovoce.errors import InputError
from sottovoce.quantization.activations import Range, fake_quantize_inputs
from sottovoce.quantization.affine import Affine
from sottovoce.quantization.grids import Grid
from sottovoce.quantization.plan import INPUT_BITS, Precision, Shape, packed_columns
from sottovoce.quantization.quantizer import Quantizer

Convolution = nn.Conv1d | nn.Conv2d
WeightedLayer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Embedding
"""What has a weight that can be quantized."""

# Earlier releases of transformers transpose around an ordinary convolution.
_FRAMEWISE: type[nn.Conv1d] | None = getattr(modeling_parakeet, "ParakeetEncoderCTCHead", None)


class PackedLayer(nn.Module):
    """A weight kept as `Precision.bits` bits a number; what is computed with it, subclasses say.

    `weight` is dequantized by the arithmetic of training (`Quantizer.values`, float32), so the
    packed layer computes exactly what the fake-quantized one did. It is a property because
    attention implementations, WavLM's among them, read `q_proj.weight` themselves.

    A weight of more than two dimensions counts as the matrix [outputs, everything else].

    Attributes:
        weight_shape: of the float weight.
        codes: uint8 [rows, bytes], laid out as in `sottovoce.artifact.packing`.
        scale: positive, [rows], [1] for granularity "tensor", or [rows, blocks] where a row has
            several; float32, or float16 where the precision says so, whatever the layer's dtype.
        offset: where the grid has one: as `scale`, but of any sign.
        bias: [rows] or None.
        input_scale, input_zero: float32 [1], the range of 8-bit inputs, where the precision has it.
        dtype: of `weight`; follows `.to(dtype)` as a parameter would.
    """

    codes: Tensor
    scale: Tensor
    offset: Tensor
    input_scale: Tensor
    input_zero: Tensor

    def __init__(
        self,
        weight_shape: tuple[int, ...],
        precision: Precision,
        *,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.weight_shape = weight_shape
        self.precision = precision
        self.dtype = dtype or torch.get_default_dtype()
        rows, columns = self.matrix_shape
        codes = torch.zeros(
            rows, packed_columns(columns, precision.bits), dtype=torch.uint8, device=device
        )
        self.register_buffer("codes", codes)
        groups = precision.groups((rows, columns))
        stored = torch.float16 if precision.scale_bits else torch.float32
        scale = torch.ones(groups if groups[1] > 1 else groups[0], dtype=stored, device=device)
        self.register_buffer("scale", scale)
        if self.grid.has_offset:
            self.register_buffer("offset", torch.zeros_like(scale))
        if precision.input_bits:
            self._add_range()
        zeros = torch.zeros(rows, device=device, dtype=self.dtype) if bias else None
        self.bias = nn.Parameter(zeros) if zeros is not None else None
        self._dequantized: tuple[list[Tensor], Tensor] | None = None

    @property
    def matrix_shape(self) -> Shape:
        """(rows, columns) of the weight as a matrix."""
        return self.weight_shape[0], prod(self.weight_shape[1:])

    @property
    def block(self) -> int | None:
        """Weights that share a scale, where a row has several scales."""
        several = self.precision.groups(self.matrix_shape)[1] > 1
        return self.precision.block if several else None

    def store(self, weight: Tensor, affine: Affine, bias: Tensor | None = None) -> Self:
        """Quantize and pack a weight; returns the layer itself.

        Args:
            weight: float32, of `weight_shape`.
            affine: scales, and offsets where the grid has them, of the precision's groups.

        Raises:
            InputError: the weight is not finite, a scale is not positive, scales or offsets do not
                fit the precision or do not fit in what they are stored in.
        """
        groups = self.precision.groups(self.matrix_shape)
        shape = tuple(affine.scale.shape)
        if shape != groups or (affine.offset is not None) != self.grid.has_offset:
            offsets = "no offsets" if affine.offset is None else "offsets"
            raise InputError(
                f"a weight of {self.matrix_shape} has scales of {shape} and {offsets}; it needs "
                f"{groups} as {self.precision}"
            )
        weight = weight.detach().reshape(self.matrix_shape)
        finite = weight.isfinite().all() and affine.largest < torch.inf
        if not finite or not (affine.scale > 0).all():
            raise InputError("a weight is not finite or its scale is not a positive number")
        self.quantizer.check(affine)
        stored = self.quantizer.stored(affine)
        codes = self.quantizer.round_to_codes(weight, stored).sub_(self.grid.lowest)
        self.codes = pack(codes.to(torch.uint8), self.precision.bits)
        self.scale = stored.scale.detach().clone().to(self.scale.dtype).view_as(self.scale)
        if stored.offset is not None:
            self.offset = stored.offset.detach().clone().to(self.offset.dtype).view_as(self.offset)
        if bias is not None:
            self.bias = nn.Parameter(bias.detach().clone())
        return self

    def with_inputs(self, span: Range) -> Self:
        """A copy whose inputs take 8 bits on a fixed range."""
        made = copy.deepcopy(self)
        made.precision = replace(self.precision, input_bits=INPUT_BITS)
        made._add_range()
        made.store_range(span)
        return made

    def _add_range(self) -> None:
        scale = torch.ones(1, dtype=torch.float32, device=self.codes.device)
        self.register_buffer("input_scale", scale)
        self.register_buffer("input_zero", torch.zeros_like(scale))

    def store_range(self, span: Range) -> None:
        """Keep the range of the inputs; the precision must have 8-bit inputs."""
        self.input_scale = torch.full_like(self.input_scale, span.scale)
        self.input_zero = torch.full_like(self.input_zero, span.zero)

    def seen(self, inputs: Tensor) -> Tensor:
        """The inputs as the layer computes with them."""
        if self.precision.input_bits is None:
            return inputs
        return fake_quantize_inputs(inputs, self.input_scale, self.input_zero)

    @property
    def quantizer(self) -> Quantizer:
        return self.precision.quantizer

    @property
    def grid(self) -> Grid:
        return self.quantizer.grid

    @property
    def affine(self) -> Affine:
        """Scales and offsets in float32, of the precision's groups."""
        groups = self.precision.groups(self.matrix_shape)
        offset = self.offset.float().view(groups) if self.grid.has_offset else None
        return Affine(self.scale.float().view(groups), offset)

    @property
    def unsigned_codes(self) -> Tensor:
        """The codes unpacked, uint8 [rows, columns]."""
        return unpack(self.codes, self.precision.bits, self.matrix_shape[1])

    @property
    def weight(self) -> Tensor:
        """The weight the codes stand for, of `weight_shape`, dequantized on first use."""
        stored = [self.codes, self.scale, *([self.offset] if self.grid.has_offset else [])]
        if self._dequantized is not None:
            before, weight = self._dequantized
            same = all(now is earlier for now, earlier in zip(stored, before, strict=True))
            if same and weight.dtype == self.dtype:
                return weight
        # A weight made under inference_mode could not serve a later call that records gradients.
        with torch.inference_mode(False), torch.no_grad():
            signed = self.unsigned_codes.float().add_(self.grid.lowest)
            weight = self.quantizer.values(signed, self.affine).to(self.dtype)
            weight = weight.view(self.weight_shape)
        # transformers would write random numbers into a weight that no file of weights had.
        weight._is_hf_initialized = True  # type: ignore[attr-defined]
        self._dequantized = (stored, weight)
        return weight

    def forward(self, inputs: Tensor) -> Tensor:
        return self.compute(self.seen(inputs), self.weight, self.bias)

    def compute(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute the layer's outputs with a weight of its shape; inputs as they are."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        precision = self.precision
        return (
            f"bias={self.bias is not None}, bits={precision.bits}, grid={precision.grid}, "
            f"granularity={precision.granularity}"
            + (f", block={precision.block}" if precision.block else "")
            + (f", scale_bits={precision.scale_bits}" if precision.scale_bits else "")
            + (f", input_bits={precision.input_bits}" if precision.input_bits else "")
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        exact = {
            name: buffer
            for name, buffer in self._buffers.items()
            if buffer is not None and name != "codes"
        }
        super()._apply(fn, recurse)
        for name, buffer in exact.items():
            if getattr(self, name).dtype != buffer.dtype:
                setattr(self, name, buffer.to(self.scale.device))
        self.dtype = fn(torch.empty(0, dtype=self.dtype, device=self.scale.device)).dtype
        self._dequantized = None
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._dequantized = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_dequantized": None}


class PackedLinear(PackedLayer):
    """y = x W^T + b."""

    def __init__(
        self, in_features: int, out_features: int, precision: Precision, **stored: Any
    ) -> None:
        super().__init__((out_features, in_features), precision, **stored)
        self.in_features = in_features
        self.out_features = out_features

    @classmethod
    def from_weight(
        cls, weight: Tensor, affine: Affine, precision: Precision, bias: Tensor | None = None
    ) -> Self:
        """A layer that stores `weight`, [rows, columns]; else as `store`."""
        rows, columns = weight.shape
        layer = cls(
            columns,
            rows,
            precision,
            bias=bias is not None,
            device=weight.device,
            dtype=weight.dtype,
        )
        return layer.store(weight, affine, bias)

    def compute(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return linear(inputs, weight, bias)

    def extra_repr(self) -> str:
        shape = f"in_features={self.in_features}, out_features={self.out_features}, "
        return shape + super().extra_repr()


class PackedConv1d(PackedLayer):
    """A convolution; a row holds all taps of an output channel.

    Args:
        like: the float convolution that it stands for; its weight is not read.

    Raises:
        InputError: `like` pads with something other than zeros.
    """

    convolve: Callable[..., Tensor] = staticmethod(conv1d)

    def __init__(self, like: Convolution, precision: Precision, **stored: Any) -> None:
        if like.padding_mode != "zeros":
            raise InputError(f"a convolution padded with {like.padding_mode!r} cannot be packed")
        super().__init__(tuple(like.weight.shape), precision, **stored)
        self.in_channels, self.out_channels = like.in_channels, like.out_channels
        self.kernel_size, self.groups = like.kernel_size, like.groups
        self.stride, self.padding, self.dilation = like.stride, like.padding, like.dilation

    def compute(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.convolve(
            inputs, weight, bias, self.stride, self.padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, groups={self.groups}, " + super().extra_repr()
        )


class PackedConv2d(PackedConv1d):
    """The same over two dimensions: time and frequency."""

    convolve = staticmethod(conv2d)


class PackedFramewise(PackedConv1d):
    """Parakeet's CTC head: a convolution whose inputs are [utterances, frames, channels]."""

    def compute(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super().compute(inputs.transpose(1, 2), weight, bias).transpose(1, 2)


class PackedEmbedding(PackedLayer):
    """A table of rows, looked up by index."""

    @property
    def num_embeddings(self) -> int:
        return self.weight_shape[0]

    def compute(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: ARG002
        return embedding(inputs, weight)


class PackedPositions(PackedEmbedding):
    """Whisper's decoder positions: the rows that follow what was decoded before."""

    def forward(
        self,
        inputs: Tensor,
        past_key_values_length: int = 0,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        if position_ids is not None:
            return self.weight[position_ids]
        return self.weight[past_key_values_length : past_key_values_length + inputs.shape[1]]


def empty_packed(layer: nn.Module, precision: Precision) -> PackedLayer:
    """Return a packed layer for a float layer, on its device, with nothing stored yet."""
    if not isinstance(layer, WeightedLayer):
        raise TypeError(f"a {type(layer).__name__} has no packed form")
    stored: dict[str, Any] = {
        "bias": bias_of(layer) is not None,
        "device": layer.weight.device,
        "dtype": layer.weight.dtype,
    }
    if isinstance(layer, nn.Linear):
        return PackedLinear(layer.in_features, layer.out_features, precision, **stored)
    if isinstance(layer, nn.Embedding):
        positions = isinstance(layer, WhisperPositionalEmbedding)
        table = PackedPositions if positions else PackedEmbedding
        return table(tuple(layer.weight.shape), precision, **stored)
    if isinstance(layer, nn.Conv2d):
        return PackedConv2d(layer, precision, **stored)
    if _FRAMEWISE is not None and isinstance(layer, _FRAMEWISE):
        return PackedFramewise(layer, precision, **stored)
    return PackedConv1d(layer, precision, **stored)


def bias_of(layer: nn.Module) -> Tensor | None:
    """A float layer's bias; an embedding has none."""
    bias: Tensor | None = getattr(layer, "bias", None)
    return bias
