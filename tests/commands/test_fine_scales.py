"""Blocks, offsets, 16-bit scales and single bits, from the command line to the packed model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from documented import documented_weight
from program import Ended, save_checkpoint, save_speech, sottovoce
from safetensors.numpy import load_file

from sottovoce import load, read_recipe
from sottovoce.artifact import packed_layers
from sottovoce.record import RunRecord

QUICK = ("--steps", 3, "--evaluations", 1, "--seconds-per-batch", 1.5, "--learning-rate", 1e-2)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("start") / "start")


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_speech(tmp_path_factory.mktemp("speech") / "speech")


def _compress(start: Path, speech: Path, out: Path, *options: object) -> Ended:
    return sottovoce(
        *("compress", start, "--train", speech, "--dev", speech, "--out", out, *QUICK, *options)
    )


def _plan(out: Path) -> dict[str, dict[str, Any]]:
    config = json.loads((out / "config.json").read_text())
    plan: dict[str, dict[str, Any]] = config["quantization_config"]["plan"]
    return plan


def _record(out: Path) -> RunRecord:
    return RunRecord.from_json(json.loads((out / "metrics.json").read_text()))


def _stored(tensors: Mapping[str, np.ndarray], name: str) -> int:
    parts = ("codes", "scale", "offset")
    return sum(tensors[f"{name}.{one}"].nbytes for one in parts if f"{name}.{one}" in tensors)


WAYS = {
    "joint, a candidate of its own kind": (
        *("--bits", 3, "--candidates", "2/asymmetric/20,4/half,8"),
        *("--scale-bits", 16, "--initial-range", "l1"),
    ),
    "joint, below two bits": ("--bits", 1.7, "--candidates", "1,2,4", "--students", "all"),
    "joint, ternary": (
        *("--bits", 1.8, "--candidates", "1,1.6/asymmetric/20,4", "--scale-bits", 16),
        *("--students", "all", "--student-ctc", "1.6:1,4:1"),
    ),
    "uniform ternary": ("--bits", 1.6, "--candidates", "1.6"),
    "joint, one bit in blocks": ("--bits", 1.5, "--candidates", "1/half/16,2/symmetric/16"),
    "uniform": (
        *("--bits", 2, "--candidates", 2, "--grid-at-2-bits", "asymmetric"),
        *("--scale-granularity", 10, "--cnn-bits", 8, "--scale-bits", 16),
    ),
    "asymmetric everywhere": (
        *("--bits", 3, "--grid", "asymmetric", "--grid-at-2-bits", "asymmetric"),
        *("--scale-granularity", "tensor", "--cnn-bits", 8, "--finetune", "learnt"),
    ),
    "ranges from the weights": (
        *("--bits", 2, "--candidates", "2/asymmetric/20", "--scale-bits", 16, "--cnn-bits", 8),
        *("--scales", "from-weights", "--initial-range", "l1", "--finetune", "learnt"),
    ),
    "joint, ranges from the weights": (
        *("--bits", 3, "--scales", "from-weights", "--students", "all", "--search-share", 0.5),
        *("--search-pace", 1.0),
    ),
    "two stages": (
        *("--bits", 3, "--candidates", "1/asymmetric/7,4", "--plan-by", "kl"),
        *("--sensitivity-batches", 1),
    ),
}


@pytest.mark.parametrize(
    ("family", "way"),
    [
        *(("wav2vec2", way) for way in WAYS),
        ("wav2vec2-conformer", "joint, a candidate of its own kind"),
    ],
)
def test_what_is_compressed_so_is_what_the_format_says(
    speech: Path, tmp_path: Path, family: str, way: str
) -> None:
    """`compress` itself sees that the packed model computes the logits of the trained one."""
    start, out = save_checkpoint(tmp_path / "start", family), tmp_path / "small"
    ended = _compress(start, speech, out, *WAYS[way])
    assert ended.status == 0, ended.err
    recipe, record = read_recipe(str(out / "recipe.toml")), _record(out)
    recogniser, tensors, plan = load(out), load_file(out / "model.safetensors"), _plan(out)
    rows = {row.layer: row for row in (*record.layers, *record.cnns)}
    assert rows.keys() == plan.keys() == packed_layers(recogniser.model).keys()
    for name, layer in packed_layers(recogniser.model).items():
        encoder = name in {row.layer for row in record.layers}
        wanted = recipe.precisions[layer.precision.bits] if encoder else recipe.cnn_precision
        assert layer.precision == wanted
        assert rows[name].granularity == wanted.scale_per
        assert rows[name].bytes == _stored(tensors, name)
        expected = documented_weight(tensors, name, plan[name], layer.matrix_shape[1])
        assert torch.equal(layer.weight.flatten(1), torch.from_numpy(expected))
    system = record.systems[-1]
    encoder = {row.layer: np.prod(row.shape) for row in record.layers}
    bits = 8 * sum(_stored(tensors, name) for name in encoder) / sum(encoder.values())
    assert system.effective_bits == pytest.approx(bits)
    assert recipe.bits - 0.3 < system.nominal_bits <= recipe.bits
    assert len({row.bits for row in record.layers}) > 1 or len(recipe.candidates) == 1
    again = sottovoce("evaluate", out, "--data", speech)
    assert f"WER {100 * system.wer:.2f}%" in again.out


@pytest.mark.parametrize("inputs", [(), ("--inputs",)])
def test_post_training_takes_the_same_candidates(
    start: Path, speech: Path, tmp_path: Path, inputs: tuple[str, ...]
) -> None:
    out = tmp_path / "small"
    ended = sottovoce(
        *("quantize", start, "--calibration", speech, "--method", "mixed", "--out", out, *inputs),
        *(
            "--bits",
            2.5,
            "--candidates",
            "1,1.6,2/asymmetric/10,4/symmetric/20",
            "--scale-bits",
            16,
        ),
    )
    assert ended.status == 0, ended.err
    tensors, plan, record = load_file(out / "model.safetensors"), _plan(out), _record(out)
    assert 2.2 < record.systems[-1].nominal_bits <= 2.5
    for row in record.layers:
        assert (row.bits, row.grid, row.granularity) in {
            *((1, "half", "channel"), (1.6, "half", "channel")),
            *((2, "asymmetric", "10 weights"), (4, "symmetric", "20 weights")),
        }
        rounds = bool(inputs) and row.granularity == "channel"  # no kernel multiplies by blocks
        assert row.bytes == _stored(tensors, row.layer) + 8 * rounds
        assert plan[row.layer].get("input_bits") == (8 if rounds else None)
        assert tensors[f"{row.layer}.scale"].dtype == np.float16


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--candidates", "2/asymmetric/0,4"), ("'0'", "positive whole number")),
        (("--candidates", "2/asymmetric/6.5,4"), ("'6.5'", "positive whole number")),
        (("--candidates", "2/round/64,4"), ("2/round/64", "grid is 'round'")),
        (("--candidates", "2/half/64/3,4"), ("2/half/64/3", "bits/grid/granularity")),
        (("--candidates", "2/half,2,4"), ("2/half", "2 bits twice")),
        (("--candidates", "1/symmetric,4"), ("no levels at 1 bit", "half")),
        (("--scale-granularity", "-64"), ("'-64'", "tensor, channel")),
        (("--scale-granularity", "row"), ("'row'", "tensor, channel")),
        (("--scale-bits", 8), ("scale_bits is 8", "16")),
        (("--initial-range", "l2"), ("initial_range is 'l2'", "l1")),
    ],
    ids=lambda words: " ".join(map(str, words)) if words[0][:2] == "--" else "",
)
def test_what_makes_no_precision_is_refused(
    start: Path, speech: Path, tmp_path: Path, options: tuple[object, ...], named: tuple[str, ...]
) -> None:
    ended = _compress(start, speech, tmp_path / "small", *options)
    assert ended.status == 2
    assert ended.err.startswith("error: ")
    assert len(ended.err.splitlines()) == 1
    assert all(one in ended.err for one in named), ended.err


def test_weights_that_do_not_fit_16_bits_are_refused_by_layer(speech: Path, tmp_path: Path) -> None:
    start = save_checkpoint(tmp_path / "start")
    recogniser = load(start)
    name = "wav2vec2.encoder.layers.1.attention.q_proj"
    recogniser.model.get_submodule(name).weight.data.mul_(1e8)
    recogniser.model.save_pretrained(start)
    options = ("--bits", 3, "--scale-bits", 16)
    ended = _compress(start, speech, tmp_path / "small", *options)
    assert ended.status == 2
    assert f"layer '{name}': a scale or offset of" in ended.err
    assert "does not fit in 16 bits" in ended.err
    assert not list(tmp_path.glob("small*"))  # nothing was trained, and there is nothing to resume
