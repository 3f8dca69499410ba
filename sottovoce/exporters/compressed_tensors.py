"""`--to compressed-tensors`: a checkpoint that stock transformers loads with that package.

Linear layers go out in its `pack-quantized` format: int32 words of signed codes, and a scale for
each channel or block. It has no convolutions, and transformers initialises the weight of a feature
projection even where it is packed; these go out in floating point, with the same numbers.
"""

import copy
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
from safetensors.torch import save_file
from torch import Tensor, nn

from sottovoce.artifact.attention import quantized_attentions
from sottovoce.artifact.format import METADATA, WEIGHTS
from sottovoce.artifact.packed_layers import PackedLayer, PackedLinear
from sottovoce.artifact.packed_model import packed_layers
from sottovoce.errors import InputError
from sottovoce.graph.int8_weights import Int8Weights
from sottovoce.models.recogniser import Recogniser
from sottovoce.wording import plural


def write_compressed_tensors(recogniser: Recogniser, folder: Path) -> tuple[str, ...]:
    """Write config.json and model.safetensors.

    Returns:
        What is not as small as it was.

    Raises:
        InputError: nothing is packed, or a layer has 8-bit inputs or codes, or an attention 8-bit
            operands, that the format cannot hold; it is named.
    """
    model, packed = recogniser.model, packed_layers(recogniser.model)
    trunk = tuple(f"{recogniser.family.backbone}.{path}" for path in recogniser.family.trunk)
    linear = {
        name: layer
        for name, layer in packed.items()
        if isinstance(layer, PackedLinear) and not name.startswith(trunk)
    }
    if not linear:
        raise InputError("no linear layer of the model is packed; transformers loads it as it is")
    for name, layer in packed.items():
        if layer.precision.input_bits:
            raise InputError(
                f"layer {name!r} has 8-bit inputs, which this form of compressed-tensors has not; "
                "export to onnx or openvino"
            )
    for name in quantized_attentions(model):
        raise InputError(
            f"attention {name!r} has 8-bit operands, which compressed-tensors has not; export to "
            "onnx or openvino"
        )
    for name, layer in linear.items():
        if layer.block and layer.matrix_shape[1] % layer.block:
            raise InputError(
                f"layer {name!r} has rows of {layer.matrix_shape[1]} weights and a scale for every "
                f"{layer.block}; compressed-tensors wants whole blocks"
            )
    numbers = {name: Int8Weights.of(name, layer) for name, layer in linear.items()}
    inside = tuple(f"{name}." for name in packed)
    state = {name: one for name, one in model.state_dict().items() if not name.startswith(inside)}
    with torch.device("meta"):
        expected = type(model)(model.config).state_dict()
    for name, layer in packed.items():
        if layer.bias is not None:
            state[f"{name}.bias"] = layer.bias
        state |= (
            _packed(name, layer, numbers[name])
            if name in linear
            else _floating(name, layer, expected)
        )
    config = copy.deepcopy(model.config)
    config.quantization_config = _described(model, packed, numbers)
    config.architectures = [type(model).__name__]
    config.save_pretrained(folder)
    stored = {name: one.detach().cpu().contiguous() for name, one in state.items()}
    save_file(stored, folder / WEIGHTS, metadata=METADATA)
    shutil.copymode(folder / "config.json", folder / WEIGHTS)  # safetensors lets no one else read
    return _notes(packed, numbers)


def _packed(name: str, layer: PackedLayer, whole: Int8Weights) -> dict[str, Tensor]:
    codes = whole.signed(layer.unsigned_codes.cpu())
    rows = codes.shape[0]
    return {
        f"{name}.weight_packed": pack_to_int32(codes, whole.bits),
        f"{name}.weight_scale": whole.scale.expand(rows, -1),
        f"{name}.weight_shape": torch.tensor(codes.shape),
    }


def _floating(name: str, layer: PackedLayer, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A weight as transformers has it: weight-normed where the architecture is."""
    length = expected.get(f"{name}.parametrizations.weight.original0")
    if length is None:
        return {f"{name}.weight": layer.weight}
    over = [axis for axis, size in enumerate(length.shape) if size == 1]
    return {
        f"{name}.parametrizations.weight.original0": layer.weight.norm(dim=over, keepdim=True),
        f"{name}.parametrizations.weight.original1": layer.weight,
    }


def _described(
    model: nn.Module, packed: Mapping[str, PackedLayer], numbers: Mapping[str, Int8Weights]
) -> dict[str, Any]:
    """The `quantization_config`: a group of layers for each kind of weight."""
    kinds: dict[tuple[int, int | None], list[str]] = {}
    for name, whole in numbers.items():
        kinds.setdefault((whole.bits, packed[name].block), []).append(name)
    others = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name not in numbers
    ]
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "ignore": others,
        "config_groups": {
            f"group_{index}": {
                "targets": names,
                "weights": {
                    "num_bits": bits,
                    "type": "int",
                    "strategy": "group" if block else "channel",
                    "group_size": block,
                    "symmetric": True,
                    "dynamic": False,
                },
            }
            for index, ((bits, block), names) in enumerate(kinds.items())
        },
    }


def _notes(
    packed: Mapping[str, PackedLayer], numbers: Mapping[str, Int8Weights]
) -> tuple[str, ...]:
    floating = [name for name in packed if name not in numbers]
    wider = [name for name, whole in numbers.items() if whole.bits > packed[name].precision.bits]
    notes = []
    if floating:
        notes.append(
            f"in floating point: {plural(len(floating), 'layer')}, convolutions and the feature "
            f"projection, which compressed-tensors does not hold; the first is {floating[0]}"
        )
    if wider:
        notes.append(
            f"wider there: {plural(len(wider), 'layer')}, by one bit on a grid of halves, with 2 "
            f"bits for ternary weights; the first is {wider[0]}"
        )
    return tuple(notes)
