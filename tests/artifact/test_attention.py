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
    QuantizedAttention,
    attend_quantized,
    quantize_attention,
    quantized_attentions,
)
from sottovoce.artifact.reader import read_artifact
from sottovoce.artifact.sizing import float_bytes
from sottovoce.artifact.writer import write_artifact
from sottovoce.errors import InputError
from sottovoce.quantization.plan import Plan

ATTENTION = "wav2vec2.encoder.layers.1.attention"


def operands(reach: float = 4.0) -> QuantizedAttention:
    made = QuantizedAttention()
    made.reach([reach] * 3)
    return made


def random(frames: int, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    query, key, value = torch.randn(3, 2, 4, frames, 8).clamp(-4, 4)
    return query, key, value


def attend(query: Tensor, key: Tensor, value: Tensor, heard: Tensor | None = None) -> Tensor:
    return attend_quantized(query, key, value, heard, 8**-0.5, operands()).transpose(1, 2)


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
    assert len(made.quantize_probabilities(torch.linspace(0, 1, 10001)).unique()) == 256


def test_an_attention_that_is_spread_evenly_is_not_lost() -> None:
    """Of 1500 frames each has less than half a step."""
    _, key, value = random(1500)
    heard = attend(torch.zeros_like(key), key, value)
    assert torch.allclose(heard, value.mean(2, keepdim=True).expand_as(heard), atol=1e-6)


def test_padding_is_not_heard() -> None:
    query, key, value = random(30)
    alone = attend(query[:, :, :20], key[:, :, :20], value[:, :, :20])
    heard = (torch.arange(30) < 20).expand(2, 1, 30, 30)
    value[:, :, 20:] = 4.0
    padded = attend(query, key, value, heard)[:, :, :20]
    assert torch.allclose(padded, alone, atol=1e-6)


def test_many_frames_of_float16_do_not_overflow() -> None:
    query, key, value = (one.half() for one in random(3000))
    heard = torch.ones(2, 1, 1, 3000, dtype=torch.bool).expand(2, 1, 3000, 3000)
    assert attend(query[:, :1], key[:, :1], value[:, :1] * 0 + 30, heard).isfinite().all()


def test_scales_stay_what_they_are() -> None:
    made = operands(1.0)
    exact = made.scale.clone()
    assert torch.equal(made.to(torch.bfloat16).float().scale, exact)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An artifact one of whose two attentions has 8-bit operands."""
    model = tiny_model("wav2vec2").eval()
    quantize_attention(model, [ATTENTION])
    quantized_attentions(model)[ATTENTION].reach([1.0, 2.0, 3.0])
    write_artifact(tmp_path / "model", model, tiny_processor(tmp_path / "p"), {}, Plan({}))
    return tmp_path / "model"


def test_an_artifact_computes_with_the_operands_that_were_saved(folder: Path) -> None:
    speech = torch.randn(1, 16000)
    model, _ = read_artifact(folder)
    assert list(quantized_attentions(model)) == [ATTENTION]
    scale = quantized_attentions(model)[ATTENTION].scale
    assert torch.equal(scale, torch.tensor([1.0, 2.0, 3.0]) / 127)
    stock = AutoModelForCTC.from_pretrained(folder)
    with torch.inference_mode():
        rounded, again = model(speech).logits, stock(speech).logits
        model.set_attn_implementation("sdpa")
        exact = model(speech).logits
    assert torch.equal(rounded, again)
    assert not torch.equal(rounded, exact)
    assert torch.allclose(rounded, exact, atol=0.1)


def test_a_half_precision_load_keeps_the_scales(folder: Path) -> None:
    model = AutoModelForCTC.from_pretrained(folder, dtype=torch.bfloat16)
    scale = quantized_attentions(model)[ATTENTION].scale
    assert torch.equal(scale, torch.tensor([1.0, 2.0, 3.0]) / 127)
    assert model(torch.randn(1, 16000).bfloat16()).logits.isfinite().all()


def test_saved_again_it_is_the_same(folder: Path, tmp_path: Path) -> None:
    model, _ = read_artifact(folder)
    model.save_pretrained(tmp_path / "again")
    again = AutoModelForCTC.from_pretrained(tmp_path / "again")
    speech = torch.randn(1, 16000)
    with torch.inference_mode():
        assert torch.equal(model(speech).logits, again(speech).logits)
    assert list(quantized_attentions(again)) == [ATTENTION]


def test_operands_do_not_count_as_numbers_of_the_float_model(folder: Path) -> None:
    model, _ = read_artifact(folder)
    assert float_bytes(model) == float_bytes(tiny_model("wav2vec2"))


@pytest.mark.parametrize(
    ("attention", "message"),
    [
        ([ATTENTION, "wav2vec2.encoder.layers.9.attention"], r"layers\.9\.attention' is none of"),
        ([ATTENTION, f"{ATTENTION}.k_proj"], "k_proj' is none of"),
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
    quantized_attentions(model)[ATTENTION].reach([1.0, 0.0, 1.0])
    with pytest.raises(InputError, match=r"layers\.1\.attention' has a scale of its operands"):
        write_artifact(tmp_path / "again", model, processor, {}, Plan({}))


def test_an_attention_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match="is none of a WavLMForCTC .* which are none"):
        quantize_attention(tiny_model("wavlm"), ["wavlm.encoder.layers.0.attention"])
