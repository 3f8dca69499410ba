"""Checks of an artifact, for whoever writes, reads or loads one."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from sottovoce.artifact.attention import QuantizedAttention
from sottovoce.artifact.format import METADATA, STORED_TYPES
from sottovoce.artifact.packed_layers import PackedLayer
from sottovoce.artifact.packed_model import packed_layers
from sottovoce.errors import InputError
from sottovoce.quantization.activations import is_code

Entry = tuple[str, tuple[int, ...]]
"""A tensor's type by its safetensors name, and its shape."""


def check_storable(state: Mapping[str, Tensor], layers: Mapping[str, PackedLayer]) -> None:
    """Only float32 is stored (beside codes, counters and 16-bit scales), and only finite numbers.

    Raises:
        InputError: a tensor is neither; it is named.
    """
    halves = _halves(layers)
    for name, tensor in state.items():
        known = tensor.dtype in STORED_TYPES and tensor.dtype != torch.float16
        if not known and name not in halves:
            raise InputError(
                f"tensor {name!r} is {tensor.dtype} and an artifact holds float32; "
                "load the model without a dtype and save that one"
            )
    check_finite(state)


def check_finite(state: Mapping[str, Tensor]) -> None:
    """Raises:
    InputError: a tensor holds NaN or infinity; it is named.
    """
    for name, tensor in state.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise InputError(f"tensor {name!r} holds a number that is not finite")


def check_codes(layers: Mapping[str, PackedLayer]) -> None:
    """Raises:
    InputError: a scale is not positive, or a code or the inputs' zero lies outside its grid; the
        layer is named.
    """
    for name, layer in layers.items():
        if not (layer.scale > 0).all():
            raise InputError(f"layer {name!r} has a scale that is not positive")
        if layer.precision.input_bits and not (layer.input_scale > 0).all():
            raise InputError(f"layer {name!r} has a scale of its inputs that is not positive")
        if layer.precision.input_bits and not is_code(layer.input_zero):
            raise InputError(f"layer {name!r} has a zero of its inputs that is no code of theirs")
        highest = layer.grid.highest - layer.grid.lowest
        if highest < 2**layer.precision.bits - 1 and (layer.unsigned_codes > highest).any():
            raise InputError(
                f"layer {name!r} has a code outside its {layer.precision.bits}-bit "
                f"{layer.precision.grid} grid"
            )


def check_attention_scales(attentions: Mapping[str, QuantizedAttention]) -> None:
    """Raises:
    InputError: a scale of an attention's operands is not positive; it is named.
    """
    for name, operands in attentions.items():
        if not (operands.scale > 0).all():
            raise InputError(f"attention {name!r} has a scale of its operands that is not positive")


def check_header(files: Sequence[str | PathLike[str]], model: nn.Module) -> None:
    """The files hold exactly the tensors of `model`: names, shapes and types.

    Raises:
        InputError: a file cannot be read, or a tensor is missing, unknown, or not as expected.
    """
    stored = {name: entry for file in files for name, entry in _header(Path(file)).items()}
    halves = _halves(packed_layers(model))
    expected = {
        name: _entry(tensor, half=name in halves) for name, tensor in model.state_dict().items()
    }
    for name, entry in expected.items():
        if name not in stored:
            raise InputError(f"tensor {name!r} is missing from the file of weights")
        if stored[name] != entry:
            raise InputError(
                f"tensor {name!r} is {_words(stored[name])} where {_words(entry)} is expected"
            )
    for name in stored.keys() - expected.keys():
        raise InputError(
            f"tensor {name!r} belongs to no layer of the plan and to no {type(model).__name__}"
        )


def _header(file: Path) -> dict[str, Entry]:
    try:
        with safe_open(file, framework="pt") as opened:
            if opened.metadata() != METADATA:
                raise InputError(f"{file.name} is damaged: its metadata is not {METADATA}")
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
            return {
                name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()
            }
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{file.name} is missing, damaged or cut short: {error}; copy the artifact again"
        ) from error


def _halves(layers: Mapping[str, PackedLayer]) -> set[str]:
    """The tensors of packed layers that are float16."""
    return {
        f"{layer}.{name}"
        for layer, packed in layers.items()
        for name, buffer in packed.named_buffers()
        if buffer.dtype == torch.float16
    }


def _entry(tensor: Tensor, *, half: bool) -> Entry:
    """How `tensor` is stored; floating point as float32 unless it is one of the scales."""
    floating = torch.float16 if half else torch.float32
    stored = floating if tensor.is_floating_point() else tensor.dtype
    return STORED_TYPES[stored], tuple(tensor.shape)


def _words(entry: Entry) -> str:
    return f"{entry[0]} {list(entry[1])}"
