import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedModel, Wav2Vec2Processor

from sottovoce.artifact import (
    PackedLayer,
    PackedLinear,
    artifact_bytes,
    float_bytes,
    read_artifact,
    write_artifact,
)
from sottovoce.errors import InputError
from sottovoce.quantization.affine import Affine
from sottovoce.quantization.plan import Plan, Precision

Build = Callable[..., tuple[PreTrainedModel, dict[str, PackedLayer], Plan]]


def test_the_callers_model_stays_as_it_was(
    packed_tiny: Build, processor: Wav2Vec2Processor, tmp_path: Path
) -> None:
    model, packed, plan = packed_tiny("hubert")
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    config = model.config.to_dict()
    write_artifact(tmp_path / "artifact", model, processor, packed, plan)
    assert model.config.to_dict() == config
    assert not any(isinstance(module, PackedLinear) for module in model.modules())
    assert model.state_dict().keys() == state.keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name])


def test_the_folder_holds_what_the_format_says(
    packed_tiny: Build, processor: Wav2Vec2Processor, tmp_path: Path
) -> None:
    model, packed, plan = packed_tiny("wavlm")
    folder = tmp_path / "new parent" / "artifact"
    written = write_artifact(folder, model, processor, packed, plan)
    assert written == artifact_bytes(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["artifact"]

    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["WavLMForCTC"]
    assert config["quantization_config"] == {
        "quant_method": "sottovoce",
        "version": 1,
        "plan": plan.to_json(),
    }
    state, stored = model.state_dict(), load_file(folder / "model.safetensors")
    for name, layer in packed.items():
        assert torch.equal(stored.pop(f"{name}.codes"), layer.codes)
        assert torch.equal(stored.pop(f"{name}.scale"), layer.scale)
        if layer.grid.has_offset:
            assert torch.equal(stored.pop(f"{name}.offset"), layer.offset)
        state.pop(f"{name}.weight")
    assert stored.keys() == state.keys()
    for name, tensor in stored.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, state[name])


def test_float_bytes_are_the_same_before_and_after(
    packed_tiny: Build, processor: Wav2Vec2Processor, tmp_path: Path
) -> None:
    model, packed, plan = packed_tiny("wav2vec2")
    write_artifact(tmp_path / "artifact", model, processor, packed, plan)
    loaded, _ = read_artifact(tmp_path / "artifact")
    expected = sum(tensor.nbytes for tensor in model.state_dict().values())
    assert float_bytes(model) == float_bytes(loaded) == expected


def test_an_existing_folder_is_left_alone(
    packed_tiny: Build, processor: Wav2Vec2Processor, tmp_path: Path
) -> None:
    model, packed, plan = packed_tiny("wav2vec2")
    folder = tmp_path / "artifact"
    folder.mkdir()
    with pytest.raises(InputError, match="artifact exists; choose another folder or delete it"):
        write_artifact(folder, model, processor, packed, plan)
    assert list(folder.iterdir()) == []


def test_a_full_disk_leaves_nothing(
    packed_tiny: Build,
    processor: Wav2Vec2Processor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    model, packed, plan = packed_tiny("wav2vec2")
    parent = tmp_path / "disk"
    parent.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_space)
        with pytest.raises(InputError, match=r"does not fit on the disk: [\d,]+ bytes are needed"):
            write_artifact(parent / "artifact", model, processor, packed, plan)
    assert list(parent.iterdir()) == []


def test_a_failing_processor_leaves_nothing(packed_tiny: Build, tmp_path: Path) -> None:
    model, packed, plan = packed_tiny("wav2vec2")
    parent = tmp_path / "disk"
    with pytest.raises(AttributeError):
        write_artifact(parent / "artifact", model, None, packed, plan)  # type: ignore[arg-type]
    assert list(parent.iterdir()) == []


def test_a_parent_that_is_a_file_is_refused(
    packed_tiny: Build, processor: Wav2Vec2Processor, tmp_path: Path
) -> None:
    model, packed, plan = packed_tiny("wav2vec2")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="artifact cannot be written: "):
        write_artifact(tmp_path / "file" / "artifact", model, processor, packed, plan)


def test_plan_and_packed_layers_must_fit(
    packed_tiny: Build, processor: Wav2Vec2Processor, tmp_path: Path
) -> None:
    model, packed, plan = packed_tiny("wav2vec2")
    layer = "wav2vec2.encoder.layers.1.attention.k_proj"

    def refused(message: str, packed: dict[str, PackedLayer], plan: Plan) -> None:
        with pytest.raises(InputError, match=message):
            write_artifact(tmp_path / "artifact", model, processor, packed, plan)
        assert not (tmp_path / "artifact").exists()

    without = {name: value for name, value in packed.items() if name != layer}
    refused(f"layer '{layer}' of the plan was not packed", without, plan)
    shorter = Plan({name: value for name, value in plan.items() if name != layer})
    refused(f"packed layer '{layer}' is not in the plan", packed, shorter)
    other = Plan(dict(plan) | {layer: Precision(5)})
    refused(f"layer '{layer}' is packed as .* not as planned", packed, other)
    unknown = Plan(dict(plan) | {"wav2vec2.encoder.layers.9.attention.k_proj": Precision(5)})
    refused(r"layer 'wav2vec2.encoder.layers.9.attention.k_proj' .* is not in", packed, unknown)
    small = PackedLinear.from_weight(
        torch.randn(4, 4), Affine(torch.ones(plan[layer].groups((4, 4)))), plan[layer]
    )
    refused(f"layer '{layer}' is packed from another shape", packed | {layer: small}, plan)


def test_only_finite_float32_is_written(
    packed_tiny: Build, processor: Wav2Vec2Processor, tmp_path: Path
) -> None:
    model, packed, plan = packed_tiny("wav2vec2")
    with torch.no_grad():
        model.lm_head.weight[0, 0] = float("inf")
    with pytest.raises(InputError, match=r"tensor 'lm_head\.weight' holds a number that is not"):
        write_artifact(tmp_path / "artifact", model, processor, packed, plan)
    model.lm_head = nn.Linear(20, 8, dtype=torch.bfloat16)
    with pytest.raises(InputError, match=r"tensor 'lm_head\.weight' is torch\.bfloat16"):
        write_artifact(tmp_path / "artifact", model, processor, packed, plan)
    assert not (tmp_path / "artifact").exists()
