"""Bytes before and after: what the compression ratio is made of."""

from math import prod
from pathlib import Path
from typing import Any

from sottovoce.artifact.attention import quantized_attentions
from sottovoce.artifact.format import WEIGHTS
from sottovoce.artifact.packed_model import packed_layers
from sottovoce.artifact.tied_projection import tied_names

FLOAT_BYTES = 4


def float_bytes(model: Any) -> int:
    """Bytes of the model's tensors at 32 bits each; a packed layer counts as the float one did."""
    numbers = sum(tensor.numel() for tensor in model.state_dict().values())
    for layer in packed_layers(model).values():
        numbers += prod(layer.weight_shape)
        numbers -= sum(tensor.numel() for tensor in layer.buffers())
    numbers -= sum(attention.scale.numel() for attention in quantized_attentions(model).values())
    tied = tied_names(model)
    if tied is not None and f"{tied[0]}.weight" in model.state_dict():  # stored once
        numbers -= model.get_submodule(tied[0]).weight.numel()
    return FLOAT_BYTES * numbers


def artifact_bytes(folder: Path) -> int:
    """Bytes of the artifact's model.safetensors, everything in it counted."""
    return (folder / WEIGHTS).stat().st_size
