import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCTC, PreTrainedModel, Wav2Vec2Processor

from sottovoce.artifact import PackedLayer, read_artifact, write_artifact
from sottovoce.artifact.packing import pack
from sottovoce.errors import InputError
from sottovoce.quantization.plan import Plan

Build = Callable[..., tuple[PreTrainedModel, dict[str, PackedLayer], Plan]]
TERNARY = "wav2vec2.encoder.layers.0.attention.k_proj"
BLOCKS = "wav2vec2.encoder.layers.0.feed_forward.output_dense"
HALVES = "wav2vec2.encoder.layers.1.attention.v_proj"
TERNARY_CODES = f"{TERNARY}.codes"


@pytest.fixture
def artifact(packed_tiny: Build, processor: Wav2Vec2Processor, tmp_path: Path) -> Path:
    model, packed, plan = packed_tiny("wav2vec2")
    assert plan[TERNARY].bits == 2 and plan[TERNARY].grid == "symmetric"
    assert plan[BLOCKS].block == 8 and plan[BLOCKS].grid == "asymmetric"
    assert plan[HALVES].scale_bits == 16 and plan[HALVES].grid == "asymmetric"
    write_artifact(tmp_path / "artifact", model, processor, packed, plan)
    return tmp_path / "artifact"


def _edit_config(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    edit(config)
    path.write_text(json.dumps(config))


def _edit_tensors(folder: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def _refused(folder: Path, message: str) -> None:
    """Both ways of loading refuse, with the same reason."""
    with pytest.raises(InputError, match=message) as refusal:
        read_artifact(folder)
    assert str(folder) in str(refusal.value)
    with pytest.raises(InputError, match=message):
        AutoModelForCTC.from_pretrained(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda q: q.update(version=2), "artifact version 2 is not known, only 1; update"),
        (lambda q: q.update(group_size=64), "unknown field 'group_size'"),
        (lambda q: q.pop("plan"), "has no plan"),
        (lambda q: q["plan"][TERNARY].update(bits=7), f"plan entry of layer '{TERNARY}'"),
        (lambda q: q["plan"][TERNARY].update(grid="log"), f"plan entry of layer '{TERNARY}'"),
        (
            lambda q: q["plan"].update({"wav2vec2.encoder.layers.5.fc": q["plan"][TERNARY]}),
            "layer 'wav2vec2.encoder.layers.5.fc' of the plan is not in Wav2Vec2ForCTC",
        ),
        (
            lambda q: q["plan"].update({"wav2vec2.encoder.layer_norm": q["plan"][TERNARY]}),
            "'wav2vec2.encoder.layer_norm' of the plan is a LayerNorm of",
        ),
        (lambda q: q["plan"].pop(TERNARY), f"tensor '{TERNARY}.weight' is missing"),
        (
            lambda q: q["plan"].update({"lm_head": q["plan"][TERNARY]}),
            "tensor 'lm_head.codes' is missing",
        ),
        (
            lambda q: q["plan"][TERNARY].update(bits=3),
            rf"tensor '{TERNARY_CODES}' is U8 \[20, 5\] where U8 \[20, 8\] is expected",
        ),
        (
            lambda q: q["plan"][BLOCKS].update(block=0),
            f"'{BLOCKS}' .* block is 0; .* positive whole",
        ),
        (
            lambda q: q["plan"][BLOCKS].update(block=8.0),
            r"block is 8\.0; it must be a positive whole",
        ),
        (lambda q: q["plan"][BLOCKS].pop("block"), "block is None; it must be a positive whole"),
        (lambda q: q["plan"][TERNARY].update(block=8), "granularity 'channel' has no block"),
        (
            lambda q: q["plan"][BLOCKS].update(block=4),
            rf"tensor '{BLOCKS}.scale' is F32 \[20, 4\] where F32 \[20, 8\] is expected",
        ),
        (
            lambda q: q["plan"][HALVES].pop("scale_bits"),
            rf"tensor '{HALVES}.scale' is F16 \[20\] where F32 \[20\] is expected",
        ),
        (
            lambda q: q["plan"][TERNARY].update(granularity="tensor"),
            rf"tensor '{TERNARY}.scale' is F32 \[20\] where F32 \[1\] is expected",
        ),
    ],
)
def test_version_and_plan(
    artifact: Path, edit: Callable[[dict[str, Any]], object], message: str
) -> None:
    _edit_config(artifact, lambda config: edit(config["quantization_config"]))
    _refused(artifact, message)


def _set(name: str, value: Callable[[Tensor], Tensor]) -> Callable[[dict[str, Tensor]], None]:
    return lambda tensors: tensors.update({name: value(tensors[name])})


def _first(number: float) -> Callable[[Tensor], Tensor]:
    def change(tensor: Tensor) -> Tensor:
        tensor.view(-1)[0] = number
        return tensor

    return change


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t: t.pop(TERNARY_CODES), f"tensor '{TERNARY_CODES}' is missing"),
        (lambda t: t.pop("lm_head.bias"), "tensor 'lm_head.bias' is missing"),
        (lambda t: t.pop(f"{BLOCKS}.offset"), f"tensor '{BLOCKS}.offset' is missing"),
        (
            _set(f"{HALVES}.offset", lambda tensor: tensor.float()),
            rf"tensor '{HALVES}.offset' is F32 \[20\] where F16 \[20\] is expected",
        ),
        (
            _set(f"{HALVES}.offset", _first(float("inf"))),
            f"tensor '{HALVES}.offset' holds a number",
        ),
        (_set(f"{HALVES}.scale", _first(0.0)), f"layer '{HALVES}' has a scale that is not posit"),
        (lambda t: t.update(extra=torch.ones(1)), "tensor 'extra' belongs to no layer of the plan"),
        (
            _set("lm_head.bias", lambda tensor: tensor[:5].clone()),
            r"tensor 'lm_head.bias' is F32 \[5\] where F32 \[8\] is expected",
        ),
        (
            _set("lm_head.bias", lambda tensor: tensor.half()),
            r"tensor 'lm_head.bias' is F16 \[8\] where F32 \[8\] is expected",
        ),
        (
            _set(TERNARY_CODES, lambda tensor: tensor.to(torch.int8)),
            f"tensor '{TERNARY_CODES}' is I8",
        ),
        (_set("lm_head.bias", _first(float("nan"))), "tensor 'lm_head.bias' holds a number that"),
        (_set(f"{TERNARY}.scale", _first(float("inf"))), f"tensor '{TERNARY}.scale' holds a"),
        (_set(f"{TERNARY}.scale", _first(0.0)), f"layer '{TERNARY}' has a scale that is not pos"),
        (_set(f"{TERNARY}.scale", _first(-1.0)), f"layer '{TERNARY}' has a scale that is not pos"),
        (
            _set(TERNARY_CODES, lambda _: pack(torch.full((20, 20), 3, dtype=torch.uint8), 2)),
            f"layer '{TERNARY}' has a code outside its 2-bit symmetric grid",
        ),
    ],
)
def test_tensors(artifact: Path, edit: Callable[[dict[str, Tensor]], object], message: str) -> None:
    _edit_tensors(artifact, edit)
    _refused(artifact, message)


@pytest.mark.parametrize("kept", [0, 4, 8, 100, 0.5, -1])
def test_a_file_cut_short(artifact: Path, kept: float) -> None:
    path = artifact / "model.safetensors"
    content = path.read_bytes()
    length = int(len(content) * kept) if 0 < kept < 1 else int(kept)
    path.write_bytes(content[:length])
    _refused(artifact, r"model\.safetensors is missing, damaged or cut short")


def test_no_flipped_bit_of_the_header_goes_unseen(artifact: Path) -> None:
    path = artifact / "model.safetensors"
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    flips = [(place, place % 8) for place in (*range(12), *range(12, header, header // 40))]
    for place, bit in flips:
        damaged = bytearray(content)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"model\.safetensors is|tensor '"):
            read_artifact(artifact)


def test_other_metadata_is_refused(artifact: Path) -> None:
    path = artifact / "model.safetensors"
    save_file(load_file(path), path, metadata={"format": "pu"})
    with pytest.raises(InputError, match=r"model\.safetensors is damaged: its metadata is not"):
        read_artifact(artifact)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file(artifact: Path, name: str) -> None:
    (artifact / name).unlink()
    with pytest.raises(InputError, match=f"is no sottovoce artifact: it has no file {name}"):
        read_artifact(artifact)


def test_only_safetensors_are_read(artifact: Path) -> None:
    path = artifact / "model.safetensors"
    torch.save(load_file(path), artifact / "pytorch_model.bin")
    path.unlink()
    with pytest.raises(InputError, match=r"it has no file model\.safetensors"):
        read_artifact(artifact)


def test_a_folder_that_is_no_artifact(artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no sottovoce artifact"):
        read_artifact(tmp_path / "absent")
    _edit_config(artifact, lambda config: config.pop("quantization_config"))
    with pytest.raises(InputError, match="quantization method in config.json is None"):
        read_artifact(artifact)
    (artifact / "config.json").write_text("[]")
    with pytest.raises(InputError, match="quantization method in config.json is None"):
        read_artifact(artifact)


def test_a_config_that_is_damaged(artifact: Path) -> None:
    _edit_config(artifact, lambda config: config.update(hidden_size=21))
    with pytest.raises(InputError, match=r"config\.json describes no model that can be built"):
        read_artifact(artifact)
    (artifact / "config.json").write_text('{"model_type": ')
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        read_artifact(artifact)
    (artifact / "config.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        read_artifact(artifact)


def test_processor_files(artifact: Path) -> None:
    for path in artifact.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    with pytest.raises(InputError, match="processor files of .* cannot be read"):
        read_artifact(artifact)


def test_a_processor_needs_both_halves(artifact: Path, processor: Wav2Vec2Processor) -> None:
    for path in artifact.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    processor.tokenizer.save_pretrained(artifact)
    with pytest.raises(InputError, match="processor files of|both the tokenizer and the feature"):
        read_artifact(artifact)


def test_an_artifact_may_be_moved(artifact: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "renamed"
    shutil.copytree(artifact, moved)
    shutil.rmtree(artifact)
    model, _ = read_artifact(moved)
    with safe_open(moved / "model.safetensors", framework="pt") as stored:
        assert set(stored.keys()) == set(model.state_dict())
