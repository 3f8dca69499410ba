"""Writes a packed model as a folder that `transformers` reads."""

import copy
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from sottovoce.artifact.attention import quantized_attentions
from sottovoce.artifact.checks import check_attention_scales, check_codes, check_storable
from sottovoce.artifact.format import METADATA, WEIGHTS
from sottovoce.artifact.hf_quantizer import SottovoceConfig
from sottovoce.artifact.packed_layers import PackedLayer, bias_of
from sottovoce.artifact.packed_model import plan_of, planned_layers
from sottovoce.artifact.tied_projection import tied_names
from sottovoce.errors import InputError
from sottovoce.files import new_folder
from sottovoce.quantization.plan import Plan


def write_artifact(
    folder: Path,
    model: PreTrainedModel,
    processor: ProcessorMixin,
    packed: Mapping[str, PackedLayer],
    plan: Plan,
) -> int:
    """Write config.json, model.safetensors and the processor's files; all of them or nothing.

    Args:
        folder: must not exist yet.
        model: the float32 model; it is left as it is.
        packed: what takes the place of each layer that `plan` names.

    Returns:
        Bytes of model.safetensors.

    Raises:
        InputError: the folder exists or cannot be written, the disk is full, or plan, model and
            packed layers do not fit together; the layer is named.
    """
    state = packed_state(model, packed, plan)
    content = save(state, metadata=METADATA)

    config = copy.deepcopy(model.config)
    config.quantization_config = _quantization(model, plan)
    config.architectures = [type(model).__name__]
    config.dtype = "float32"

    with new_folder(folder, len(content)) as partial:
        (partial / WEIGHTS).write_bytes(content)
        config.save_pretrained(partial)
        if model.config.is_encoder_decoder:
            model.generation_config.save_pretrained(partial)
        processor.save_pretrained(partial)
    return len(content)


def rewrite_artifact(folder: Path, model: PreTrainedModel, processor: ProcessorMixin) -> None:
    """Write a model whose layers are packed already, after some were exchanged for others.

    Raises:
        InputError: the folder exists or cannot be written, or the disk is full.
    """
    model.config.quantization_config = _quantization(model, plan_of(model))
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    with new_folder(folder, size) as partial:
        model.save_pretrained(partial)
        processor.save_pretrained(partial)


def _quantization(model: PreTrainedModel, plan: Plan) -> SottovoceConfig:
    return SottovoceConfig(plan.to_json(), attention=list(quantized_attentions(model)))


def packed_state(
    model: PreTrainedModel, packed: Mapping[str, PackedLayer], plan: Plan
) -> dict[str, Tensor]:
    """Tensor name -> what model.safetensors holds under it.

    Raises:
        InputError: as `write_artifact`.
    """
    for name, planned in planned_layers(model, plan).items():
        layer = packed.get(name)
        if layer is None:
            raise InputError(f"layer {name!r} of the plan was not packed")
        if layer.precision != plan[name]:
            raise InputError(f"layer {name!r} is packed as {layer.precision}, not as planned")
        same = layer.weight_shape == tuple(planned.weight.shape)
        if not same or (layer.bias is None) != (bias_of(planned) is None):
            raise InputError(f"layer {name!r} is packed from another shape than the model has")
    for name in packed:
        if name not in plan:
            raise InputError(f"packed layer {name!r} is not in the plan")

    replaced = tuple(f"{name}." for name in packed)
    tied = tied_names(model)
    if tied is not None and tied[1] in packed:  # stored once
        replaced += (f"{tied[0]}.",)
    state = {
        name: tensor for name, tensor in model.state_dict().items() if not name.startswith(replaced)
    }
    for name, layer in packed.items():
        state |= layer.state_dict(prefix=f"{name}.")
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    check_storable(state, packed)
    check_codes(packed)
    check_attention_scales(quantized_attentions(model))
    return state
