"""Attention whose products multiply 8-bit numbers."""

import json
from pathlib import Path

import pytest
import torch
from tiny import tiny_model, tiny_processor
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoModelForCTC

from sottovoce.artifact.attention import (
    RoundedOperands,
    attend_rounded,
    round_operands,
    rounded_attentions,
)
from sottovoce.artifact.reader import read_artifact
from sottovoce.artifact.sizing import float_bytes
from sottovoce.artifact.writer import write_artifact
from sottovoce.errors import InputError
from sottovoce.plan import Plan

ATTENTION = "wav2vec2.encoder.layers.1.attention"


def operands(reach: float = 4.0) -> RoundedOperands:
    made = RoundedOperands()
    made.reach([reach] * 3)
    return made


def random(frames: int, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    query, key, value = torch.randn(3, 2, 4, frames, 8).clamp(-4, 4)
    return query, key, value


def attend(query: Tensor, key: Tensor, value: Tensor, heard: Tensor | None = None) -> Tensor:
    return attend_rounded(query, key, value, heard, 8**-0.5, operands()).transpose(1, 2)


def test_it_is_attention_but_for_rounding() -> None:
    query, key, value = random(50)
    exact = scaled_dot_product_attention(query, key, value)
    error = (attend(query, key, value) - exact).square().mean().sqrt()
    assert 0 < error < 0.05 * exact.square().mean().sqrt()


def test_its_products_are_of_whole_numbers() -> None:
    """Operands and probabilities lie on 8-bit grids: so many values, no more."""
    made = operands()
    values = torch.linspace(-5, 5, 10001)
    for operand in range(3):
        rounded = made.rounded(operand, values)
        assert len(rounded.unique()) == 256 and (rounded == 0).any()
        assert rounded.max() == made.scale[operand] * 127
    assert len(made.rounded_probabilities(torch.linspace(0, 1, 10001)).unique()) == 256


def test_an_attention_that_is_spread_evenly_is_not_lost() -> None:
    """Of 1500 frames each has less than half a step."""
    _, key, value = random(1500)
    heard = attend(torch.zeros_like(key), key, value)
    assert torch.allclose(heard, value.mean(2, keepdim=True).expand_as(heard), atol=1e-6)


def test_padding_is_not_heard() -> None:
    query, key, value = random(30)
    alone = attend(query[:, :, :20], key[:, :, :20], value[:, :, :20])
    heard = (torch.arange(30) < 20).expand(2, 1, 30, 30)
    value[:, :, 20:] = torch.nan_to_num(torch.tensor(torch.inf))
    padded = attend(query, key, value.clamp(-4, 4), heard)[:, :, :20]
    assert torch.allclose(padded, alone, atol=1e-6)


def test_scales_stay_float32() -> None:
    assert operands().to(torch.bfloat16).scale.dtype == torch.float32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An artifact one of whose two attentions has 8-bit operands."""
    model = tiny_model("wav2vec2").eval()
    round_operands(model, [ATTENTION])
    rounded_attentions(model)[ATTENTION].reach([1.0, 2.0, 3.0])
    write_artifact(tmp_path / "model", model, tiny_processor(tmp_path / "p"), {}, Plan({}))
    return tmp_path / "model"


def test_an_artifact_computes_with_the_operands_that_were_saved(folder: Path) -> None:
    speech = torch.randn(1, 16000)
    model, _ = read_artifact(folder)
    assert list(rounded_attentions(model)) == [ATTENTION]
    scale = rounded_attentions(model)[ATTENTION].scale
    assert torch.equal(scale, torch.tensor([1.0, 2.0, 3.0]) / 127)
    stock = AutoModelForCTC.from_pretrained(folder)
    with torch.inference_mode():
        rounded, again = model(speech).logits, stock(speech).logits
        model.set_attn_implementation("sdpa")
        exact = model(speech).logits
    assert torch.equal(rounded, again)
    assert not torch.equal(rounded, exact)
    assert torch.allclose(rounded, exact, atol=0.1)


def test_operands_do_not_count_as_numbers_of_the_float_model(folder: Path) -> None:
    model, _ = read_artifact(folder)
    assert float_bytes(model) == float_bytes(tiny_model("wav2vec2"))


@pytest.mark.parametrize(
    ("attention", "message"),
    [
        ([ATTENTION, "wav2vec2.encoder.layers.9.attention"], "layers.9.attention' is not in"),
        ([], "belongs to no layer of the plan"),
        ("all", "is 'all', no list of names"),
        ([1], "no list of names"),
    ],
)
def test_other_names_are_refused(folder: Path, attention: object, message: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"]["attention"] = attention
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=message):
        read_artifact(folder)


def test_a_scale_that_is_not_positive_is_refused(folder: Path, tmp_path: Path) -> None:
    model, processor = read_artifact(folder)
    rounded_attentions(model)[ATTENTION].reach([1.0, 0.0, 1.0])
    with pytest.raises(InputError, match=r"layers\.1\.attention' has a scale of its operands"):
        write_artifact(tmp_path / "again", model, processor, {}, Plan({}))
