"""The parts of post-training quantization on tiny recognisers."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from precisions import described
from rich.console import Console
from tiny import noise

from sottovoce.errors import InputError
from sottovoce.models.front_end_biases import add_front_end_biases
from sottovoce.models.recogniser import Recogniser
from sottovoce.plan import Precision
from sottovoce.posttraining.arithmetic import multiply_adds
from sottovoce.posttraining.gptq import compensated, second_moments
from sottovoce.posttraining.layers import Quantized, quantizable, replaced, rounded
from sottovoce.posttraining.observing import input_histograms
from sottovoce.posttraining.refitting import can_be_fitted, refitted
from sottovoce.posttraining.replay import Replay
from sottovoce.posttraining.stablequant import adapted
from sottovoce.posttraining.sweep import changes
from sottovoce.quantizers.activations import Range
from sottovoce.quantizers.ranges import initial_affine
from sottovoce.runtime.recognition import recognise
from sottovoce.scoring import score
from sottovoce.speech.corpus import Corpus

MakeRecogniser = Callable[..., Recogniser]
FAMILIES = ("wav2vec2", "hubert", "wavlm", "wav2vec2-conformer", "wav2vec2-bert", "parakeet_ctc")
QUIET = Console(quiet=True)


def _batches() -> Iterator[list[np.ndarray]]:
    yield [noise(0.4, seed=1), noise(0.3, seed=2)]
    yield [noise(0.5, seed=3)]


@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()
def test_a_replay_computes_what_a_whole_run_computes(
    make_recogniser: MakeRecogniser, family: str
) -> None:
    recogniser = make_recogniser(family)
    recogniser.model.requires_grad_(requires_grad=False)
    layers = quantizable(recogniser)
    elsewhere = (*recogniser.family.front_end.modules, *recogniser.family.unused)
    with recogniser.evaluating():
        features = recogniser.features([noise(0.4), noise(0.3, seed=1)])
        replay = Replay(recogniser, features)
        assert torch.equal(replay.logits, recogniser.logits(features))
        for name, layer in layers.items():
            if any(path in name for path in elsewhere):
                continue
            quantized = replace(rounded(layer.weight, Precision(3), "max"), inputs=Range(-0.5, 0.5))
            with replaced(layers, {name: quantized}):
                found, expected = replay.again(name), recogniser.logits(features)
            assert torch.equal(found, expected), name
            assert not torch.equal(found, replay.logits), name
        assert torch.equal(recogniser.logits(features), replay.logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_that_is_called_is_seen(make_recogniser: MakeRecogniser, family: str) -> None:
    recogniser = make_recogniser(family)
    layers = quantizable(recogniser)
    histograms = input_histograms(recogniser, layers, _batches)
    unseen = layers.keys() - histograms.keys()
    if family == "wavlm":  # its attention multiplies by the weights itself
        assert {name.rsplit(".", 1)[1] for name in unseen} == {
            *("q_proj", "k_proj", "v_proj", "out_proj")
        }
    else:
        assert all(any(path in name for path in recogniser.family.unused) for name in unseen)


def test_the_first_layer_sees_the_waveforms(make_recogniser: MakeRecogniser) -> None:
    recogniser = make_recogniser()
    layers = quantizable(recogniser)
    histograms, first = input_histograms(recogniser, layers, _batches), next(iter(layers))
    waveforms = [one for batch in _batches() for one in batch]
    normalised = recogniser.processor.feature_extractor(waveforms, sampling_rate=16000)
    highest = max(float(one.max()) for one in normalised.input_values)
    assert histograms[first].range.high == pytest.approx(highest, rel=1e-5)
    assert histograms[first].counts.sum() == sum(len(one) for one in waveforms)


def test_silence_cannot_calibrate(make_recogniser: MakeRecogniser) -> None:
    recogniser = make_recogniser()
    layers = quantizable(recogniser)
    with pytest.raises(InputError, match=r"inputs of layer .*conv_layers\.0.*not silent"):
        input_histograms(recogniser, layers, lambda: iter([[np.zeros(8000, np.float32)]]))


def test_a_sweep_finds_the_effects_of_whole_runs_and_goes_on(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    recogniser = make_recogniser(initializer_range=0.3)
    recogniser.model.requires_grad_(requires_grad=False)
    layers = quantizable(recogniser)
    two_bits = {name: rounded(layer.weight, Precision(2), "max") for name, layer in layers.items()}
    trials = {name: {name: one} for name, one in two_bits.items()}
    behind_the_front_end = dict(list(two_bits.items())[3:])
    trials |= {"everything": two_bits, "most": behind_the_front_end}
    kept = tmp_path / "kept.json"
    found = changes(recogniser, layers, trials, corpus, kept, QUIET)
    full = recognise(recogniser, corpus).transcripts
    for name, trial in trials.items():
        with replaced(layers, trial):
            own = recognise(recogniser, corpus).transcripts
        assert found[name] == score(full, own).wer, name
    assert len(set(found.values())) > 1
    recogniser.model.lm_head.weight.zero_()  # what is kept is not computed again
    assert changes(recogniser, layers, trials, corpus, kept, QUIET) == found


class _Told:
    """Stands for a sweep: layer `suffering` alone changes words, and the whole model as told."""

    def __init__(self, suffering: list[str], changes: list[float]) -> None:
        self.suffering, self.changes = suffering, changes
        self.wholes: list[dict[str, Quantized]] = []

    def __call__(self, *given: object) -> dict[str, float]:
        trials = given[2]
        assert isinstance(trials, dict)
        if len(trials) == 1:
            self.wholes.append(dict(next(iter(trials.values()))))
            return {name: self.changes.pop(0) for name in trials}
        return {name: 0.01 * (name in self.suffering) for name in trials}


def _adapted(
    recogniser: Recogniser, corpus: Corpus, work: Path, *, float_inputs: bool = True
) -> dict[str, Quantized]:
    layers = quantizable(recogniser)
    add_front_end_biases(recogniser)
    recogniser.model.requires_grad_(requires_grad=False)
    histograms = input_histograms(recogniser, layers, _batches)
    plain = {name: rounded(layer.weight, Precision(8), "mse") for name, layer in layers.items()}
    return adapted(
        recogniser,
        layers,
        plain,
        histograms,
        _batches,
        corpus,
        work,
        QUIET,
        float_inputs=float_inputs,
    )


def test_layers_adapt_where_they_suffer(
    make_recogniser: MakeRecogniser,
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recogniser = make_recogniser()
    layers = quantizable(recogniser)
    suffering = [list(layers)[1], list(layers)[4]]
    told = _Told(suffering, [0.0])
    monkeypatch.setattr("sottovoce.posttraining.stablequant.changes", told)
    histograms = input_histograms(recogniser, layers, _batches)
    found = _adapted(recogniser, corpus, tmp_path)
    assert found.keys() == layers.keys()
    for name, quantized in found.items():
        as_rounded = torch.equal(
            quantized.weight, rounded(layers[name].weight, Precision(8), "mse").weight
        )
        assert as_rounded == (name not in suffering)
        assert (quantized.inputs == histograms[name].range) <= (name not in suffering)
        assert (quantized.bias is None) == (name not in suffering)


@pytest.mark.parametrize(
    ("changes", "freed"),
    [
        ([0.0025], 0),
        ([0.01, 0.0025], 1),
        ([0.01, 0.02, 0.001], 2),
        ([0.01, 0.02, 0.02], 2),  # all that may be freed was freed
    ],
)
def test_the_most_harmful_inputs_stay_in_floating_point(
    make_recogniser: MakeRecogniser,
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: list[float],
    freed: int,
) -> None:
    recogniser = make_recogniser()
    layers = quantizable(recogniser)
    suffering = [list(layers)[1], list(layers)[4]]
    told = _Told(suffering, changes)
    monkeypatch.setattr("sottovoce.posttraining.stablequant.changes", told)
    found = _adapted(recogniser, corpus, tmp_path)
    histograms = input_histograms(recogniser, layers, _batches)
    floating = {name for name, one in found.items() if one.inputs is None}
    assert floating <= set(suffering)
    assert len(floating) == freed
    freed_in_turn = [
        {name for name in suffering if one[name].inputs is None} for one in told.wholes
    ]
    assert [len(one) for one in freed_in_turn] == list(range(freed + 1))
    harms = {}
    for name in suffering:
        before = {name: one for name, one in told.wholes[0].items() if name in harms}
        harms[name] = refitted(recogniser, layers, name, before, histograms[name], _batches, 8).harm
    if freed:
        assert freed_in_turn[1] == {max(suffering, key=harms.__getitem__)}
    assert told.wholes[-1] == found
    assert changes == []


def test_floating_point_inputs_can_be_forbidden(
    make_recogniser: MakeRecogniser,
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recogniser = make_recogniser()
    told = _Told([list(quantizable(recogniser))[1]], [0.5])
    monkeypatch.setattr("sottovoce.posttraining.stablequant.changes", told)
    found = _adapted(recogniser, corpus, tmp_path, float_inputs=False)
    assert all(one.inputs is not None for one in found.values())


@pytest.mark.parametrize(
    ("layer_name", "bias"),
    [
        ("wav2vec2.feature_extractor.conv_layers.1.conv", False),
        ("wav2vec2.feature_extractor.conv_layers.1.conv", True),
        ("wav2vec2.encoder.layers.1.feed_forward.output_dense", True),
    ],
)
def test_a_layer_fitted_to_rounded_inputs_errs_less_frame_by_frame(
    make_recogniser: MakeRecogniser, layer_name: str, bias: bool
) -> None:
    recogniser = make_recogniser(initializer_range=0.3)
    layers = quantizable(recogniser)
    if bias:
        add_front_end_biases(recogniser)
    recogniser.model.requires_grad_(requires_grad=False)

    def speech() -> Iterator[list[np.ndarray]]:
        """Loud for a moment, quiet for the rest."""
        quiet = [noise(1.0, seed=seed) * 0.01 for seed in range(6)]
        for one in quiet:
            one[:800] *= 1000
        yield quiet

    histograms = input_histograms(recogniser, layers, speech)
    name, layer = layer_name, layers[layer_name]
    plain = replace(rounded(layer.weight, Precision(8), "mse"), inputs=histograms[name].range)
    with recogniser.evaluating():
        both = refitted(recogniser, layers, name, {}, histograms[name], speech, 6)

    def error(quantized: Quantized | None) -> float:
        outputs: list[torch.Tensor] = []
        handle = layer.register_forward_hook(lambda _, __, output: outputs.append(output))
        with torch.no_grad(), recogniser.evaluating():
            for waveforms in speech():
                recogniser.logits(recogniser.features(waveforms))
                with replaced(layers, {} if quantized is None else {name: quantized}):
                    recogniser.logits(recogniser.features(waveforms))
        handle.remove()
        frames = (one.transpose(1, 2) if "conv" in name else one for one in outputs)
        flat = torch.cat([one.flatten(0, 1) for one in frames])
        exact, found = flat.chunk(2)
        power = exact.square().sum(1)
        relative = (found - exact).square().sum(1) / (power + 0.01 * power.mean())
        return float(relative.mean())

    assert error(None) == 0
    assert error(both.floating) < error(both.rounding) < 0.7 * error(plain)
    assert both.harm > 0
    for one in (both.rounding, both.floating):
        assert (one.bias is not None) == bias


def test_grouped_convolutions_are_not_fitted(make_recogniser: MakeRecogniser) -> None:
    layers = quantizable(make_recogniser())
    assert [name for name, one in layers.items() if not can_be_fitted(one)] == [
        "wav2vec2.encoder.pos_conv_embed.conv"
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_multiply_adds_are_those_of_the_layers_that_are_called(
    make_recogniser: MakeRecogniser, family: str
) -> None:
    recogniser = make_recogniser(family)
    layers = quantizable(recogniser)
    found = multiply_adds(recogniser, layers)
    assert found.keys() == input_histograms(recogniser, layers, _batches).keys()
    head, frames = recogniser.family.head, recogniser.frames_of(16000)
    assert found[head] == frames * layers[head].weight.numel()


def test_multiply_adds_of_convolutions_are_of_every_window(
    make_recogniser: MakeRecogniser,
) -> None:
    recogniser = make_recogniser()
    first, second = list(multiply_adds(recogniser, quantizable(recogniser)).values())[:2]
    assert first == 999 * 16 * 20  # (16000 - 20) // 16 + 1 windows
    assert second == 99 * 16 * 16 * 10


@pytest.mark.parametrize("family", ["wav2vec2", "hubert", "wavlm", "wav2vec2-conformer"])
@torch.inference_mode()
def test_biases_of_zero_change_nothing(make_recogniser: MakeRecogniser, family: str) -> None:
    recogniser = make_recogniser(family)
    with recogniser.evaluating():
        before = recogniser.features([noise(0.4)]).values
        add_front_end_biases(recogniser)
        assert torch.equal(recogniser.features([noise(0.4)]).values, before)
    assert recogniser.model.config.conv_bias
    rebuilt = type(recogniser.model)(recogniser.model.config)
    assert rebuilt.state_dict().keys() == recogniser.model.state_dict().keys()


@pytest.mark.parametrize("family", ["wav2vec2", "wav2vec2-conformer"])
@pytest.mark.parametrize(
    "precision", [Precision(3), Precision(2, "asymmetric", "block", 10)], ids=described
)
def test_compensated_rounding_changes_the_outputs_less(
    make_recogniser: MakeRecogniser, family: str, precision: Precision
) -> None:
    recogniser = make_recogniser(family, initializer_range=0.3)
    layers = quantizable(recogniser)
    moments = second_moments(recogniser, layers, _batches)
    better = 0
    for name, own in moments.items():
        weight = layers[name].weight.detach().flatten(1)
        quantizer = precision.quantizer
        affine = initial_affine(weight, quantizer, "mse")
        plain = quantizer.rounded(weight, affine)
        found = compensated(weight, affine, quantizer, own)
        assert torch.equal(quantizer.rounded(found, affine), found)
        errors = [float(((one - weight) @ own * (one - weight)).sum()) for one in (plain, found)]
        better += errors[1] < errors[0]
    assert better >= len(moments) - 1
    assert len(moments) == len(recogniser.family.shapes(recogniser.model)) + 2


def test_inputs_that_cannot_be_squared_are_refused_by_name(make_recogniser: MakeRecogniser) -> None:
    recogniser = make_recogniser()
    layers = {
        name: layer for name, layer in quantizable(recogniser).items() if "output_dense" in name
    }
    name = next(iter(layers))
    recogniser.model.get_submodule(name.replace("output", "intermediate")).weight.data *= 1e30
    with pytest.raises(InputError, match=f"inputs of layer '{name}' grow beyond"):
        second_moments(recogniser, layers, _batches)
