"""Writes a packed model as a folder that `transformers` reads."""

import copy
import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from sottovoce.artifact.checks import check_codes, check_storable
from sottovoce.artifact.format import METADATA, WEIGHTS
from sottovoce.artifact.hf_quantizer import SottovoceConfig
from sottovoce.artifact.packed_layers import PackedLayer
from sottovoce.artifact.packed_model import planned_layers
from sottovoce.errors import InputError
from sottovoce.plan import Plan


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
    if folder.exists():
        raise InputError(f"{folder} exists; choose another folder or delete it")
    state = packed_state(model, packed, plan)
    content = save(state, metadata=METADATA)

    config = copy.deepcopy(model.config)
    config.quantization_config = SottovoceConfig(plan.to_json())
    config.architectures = [type(model).__name__]
    config.dtype = "float32"

    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        (partial / WEIGHTS).write_bytes(content)
        config.save_pretrained(partial)
        processor.save_pretrained(partial)
        _flush(partial)
        partial.rename(folder)
        _flush_folder(folder.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"{folder} does not fit on the disk: {len(content):,} bytes are needed"
            ) from error
        raise InputError(f"{folder} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return len(content)


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
        if not same or (layer.bias is None) != (planned.bias is None):
            raise InputError(f"layer {name!r} is packed from another shape than the model has")
    for name in packed:
        if name not in plan:
            raise InputError(f"packed layer {name!r} is not in the plan")

    replaced = tuple(f"{name}." for name in packed)
    state = {
        name: tensor for name, tensor in model.state_dict().items() if not name.startswith(replaced)
    }
    for name, layer in packed.items():
        state |= layer.state_dict(prefix=f"{name}.")
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    check_storable(state)
    check_codes(packed)
    return state


def _flush(folder: Path) -> None:
    """See the files on the disk before the rename makes them visible."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
