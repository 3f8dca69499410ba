"""What PyTorch compiles computes what the packed model computes."""

import shutil

import numpy as np
import pytest
import torch
from program import save_checkpoint
from tiny import noise
from torch import nn
from torch._dynamo.utils import counters

from sottovoce.artifact.attention import (
    quantizable_attentions,
    quantize_attention,
    quantized_attentions,
)
from sottovoce.artifact.packed_layers import PackedLinear, empty_packed
from sottovoce.artifact.packed_model import packed_layers
from sottovoce.errors import InputError
from sottovoce.loading import load
from sottovoce.models.recogniser import best_device
from sottovoce.models.weight_norm import fold_weight_norm
from sottovoce.quantization.activations import Range
from sottovoce.quantization.plan import Precision
from sottovoce.quantization.ranges import initial_affine
from sottovoce.runtime import engines
from sottovoce.runtime.compiled_torch import compile_recogniser, precision_on, runnable
from sottovoce.runtime.engines import engine_of
from sottovoce.runtime.integer_layers import round_inputs

FAMILIES = (
    ("wav2vec2", {}),
    ("wav2vec2", {"feat_extract_norm": "layer", "conv_bias": True}),
    ("hubert", {}),
    ("wavlm", {}),
    ("wav2vec2-conformer", {"position_embeddings_type": "relative"}),
    ("wav2vec2-conformer", {"position_embeddings_type": "rotary"}),
    ("wav2vec2-bert", {}),
    ("parakeet_ctc", {}),
)
WEIGHTS_ONLY = (
    Precision(2, "half"),
    Precision(4, "asymmetric", "block", 8, 16),
    Precision(1.6, "asymmetric"),
    Precision(6, "full"),
)
WITH_INPUTS = (
    Precision(8, input_bits=8),
    Precision(2, "half", input_bits=8),
    Precision(3, "symmetric", "tensor", input_bits=8),
    Precision(4, "asymmetric", "block", 8, 16, input_bits=8),
    Precision(1.6, "symmetric", input_bits=8),
)
SECONDS = (0.3, 1.0, 3.1)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
needs_a_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")


def packed(recogniser, precisions):
    """The recogniser, packed; layers that it computes take these precisions in turn."""
    model, family = recogniser.model.requires_grad_(requires_grad=False), recogniser.family
    names = [*family.cnns(model), *family.shapes(model)]
    called = set(names) - {
        name for name in names if family.model_type == "wavlm" and ".attention." in name
    }
    for i, name in enumerate(name for name in names if name in called):
        layer, precision = model.get_submodule(name), precisions[i % len(precisions)]
        fold_weight_norm(layer)
        affine = initial_affine(layer.weight.flatten(1), precision.quantizer, "max")
        small = empty_packed(layer, precision).store(layer.weight, affine, layer.bias)
        if precision.input_bits:
            small.store_range(Range(-3.0, 2.5))
        model.set_submodule(name, small)
    if any(one.input_bits for one in precisions):
        quantize_attention(model, quantizable_attentions(model))
        for operands in quantized_attentions(model).values():
            operands.reach([1.0, 1.0, 1.0])
    return recogniser


def utterances(recogniser):
    """Of several lengths, a single frame among them, and what each yields."""
    waveforms = [*map(noise, SECONDS), noise(1.0)[: recogniser.shortest]]
    return [(one, recogniser.frame_logits([one])[0]) for one in waveforms]


def prepared(recogniser, waveform):
    return recogniser.family.front_end.graph_inputs(
        recogniser.processor.feature_extractor, waveform
    )


@torch.no_grad()
def assert_same(recogniser, expected, compute, tolerance):
    for waveform, logits in expected:
        found = compute(torch.from_numpy(prepared(recogniser, waveform)))[0].float().numpy()
        assert found.shape == logits.shape
        np.testing.assert_allclose(found, logits, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("family", "changes"), FAMILIES)
@pytest.mark.parametrize(
    ("precisions", "tolerance"),
    # A number that lies between two codes may go to either: a step of 8-bit inputs.
    [(WEIGHTS_ONLY, 1e-5), (WITH_INPUTS, 1e-2)],
)
def test_the_whole_model_computes_what_the_packed_one_computes(
    make_recogniser, family, changes, precisions, tolerance
):
    recogniser = packed(make_recogniser(family, **changes), precisions)
    expected = utterances(recogniser)
    assert_same(recogniser, expected, runnable(recogniser, torch.float32), tolerance)


@pytest.mark.parametrize(("family", "changes"), [FAMILIES[i] for i in (0, 1, 3, 4, 7)])
@pytest.mark.parametrize(("precisions", "tolerance"), [(WEIGHTS_ONLY, 2e-2), (WITH_INPUTS, 8e-2)])
def test_in_bfloat16_only_the_rounding_differs(
    make_recogniser, family, changes, precisions, tolerance
):
    recogniser = packed(make_recogniser(family, **changes), precisions)
    expected = utterances(recogniser)
    assert_same(recogniser, expected, runnable(recogniser, torch.bfloat16), tolerance)


@pytest.mark.parametrize("precision", [one for one in WITH_INPUTS if one.block is None])
@pytest.mark.parametrize("rows", [11, 16])
@pytest.mark.parametrize("columns", [13, 24])
def test_a_linear_layer_multiplies_whole_numbers(precision, rows, columns):
    torch.manual_seed(0)
    weight, bias = torch.randn(rows, columns), torch.randn(rows)
    affine = initial_affine(weight, precision.quantizer, "max")
    layer = PackedLinear.from_weight(weight, affine, precision, bias)
    layer.store_range(Range(-1.0, 3.0))
    inputs = torch.randn(2, 3, columns)
    model = nn.ModuleDict({"layer": layer})
    round_inputs(model, {"layer": layer})
    assert model["layer"] is not layer
    torch.testing.assert_close(model["layer"](inputs), layer(inputs), rtol=1e-6, atol=1e-6)


def test_products_have_shapes_that_cuda_takes(make_recogniser, monkeypatch):
    recogniser = packed(make_recogniser(), [Precision(8, input_bits=8)])
    shapes, product = [], torch._int_mm

    def watched(codes, weight):
        shapes.append((*codes.shape, weight.shape[1]))
        return product(codes, weight)

    monkeypatch.setattr(torch, "_int_mm", watched)
    expected = utterances(recogniser)[-1:]
    assert_same(recogniser, expected, runnable(recogniser, torch.float32), 1e-2)
    # All but the convolutions of the waveform and of positions: the latter is one of groups.
    assert len(shapes) == len(packed_layers(recogniser.model)) - 2
    assert all(frames > 16 and inner % 8 == outer % 8 == 0 for frames, inner, outer in shapes)


def test_the_device_says_what_is_computed_in():
    assert precision_on(torch.device("cpu")) == torch.float32


@needs_a_compiler
def test_one_compilation_serves_utterances_of_all_lengths(make_recogniser):
    recogniser = packed(
        make_recogniser(num_hidden_layers=1, feat_extract_norm="layer"), WITH_INPUTS + WEIGHTS_ONLY
    )
    expected, shortest = utterances(recogniser), recogniser.shortest
    torch._dynamo.reset()
    counters.clear()
    engine = compile_recogniser(recogniser, torch.device("cpu"))
    for (waveform, logits), found in zip(
        expected, engine.frame_logits([one for one, _ in expected]), strict=True
    ):
        np.testing.assert_allclose(found, logits, rtol=0, atol=1e-2)
        assert engine.frames_of(len(waveform)) == len(logits)
    assert counters["stats"]["unique_graphs"] == 1
    assert (engine.place, engine.shortest) == ("cpu, compiled", shortest)


def test_it_is_asked_for_by_name(tmp_path, monkeypatch):
    devices = []

    def keep(model, device):
        devices.append(device)
        return model

    monkeypatch.setattr(engines, "compile_recogniser", keep)
    start = save_checkpoint(tmp_path / "start", "wav2vec2")
    engine = engine_of(start, "torch-compiled")
    assert engine.fingerprint() == load(start).fingerprint()
    assert devices == [best_device()]


def test_what_is_compiled_wrongly_is_refused(tmp_path, monkeypatch):
    another = load(save_checkpoint(tmp_path / "another", "hubert"))
    monkeypatch.setattr(engines, "compile_recogniser", lambda *_: another)
    with pytest.raises(InputError, match="compiled, the model computes other logits"):
        engine_of(save_checkpoint(tmp_path / "start", "wav2vec2"), "torch-compiled")


@needs_cuda
@pytest.mark.parametrize("precisions", [WEIGHTS_ONLY, WITH_INPUTS])
@pytest.mark.parametrize("family", ["wav2vec2", "wavlm", "wav2vec2-conformer"])
def test_a_cuda_device_computes_what_the_packed_model_computes(make_recogniser, family, precisions):
    recogniser = packed(make_recogniser(family), precisions)
    expected = utterances(recogniser)
    found = compile_recogniser(recogniser, torch.device("cuda")).frame_logits(
        [one for one, _ in expected]
    )
    for (_, logits), one in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, logits, rtol=0, atol=8e-2)
