"""The parts of post-training quantization on tiny recognisers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from precisions import described
from rich.console import Console
from tiny import noise

from sottovoce.errors import InputError
from sottovoce.models.recogniser import Recogniser
from sottovoce.plan import Precision
from sottovoce.posttraining.gptq import compensated, second_moments
from sottovoce.posttraining.layers import Quantized, quantizable, replaced, rounded
from sottovoce.posttraining.observing import input_histograms
from sottovoce.posttraining.replay import Replay
from sottovoce.posttraining.stablequant import PERCENTILES, adapted_ranges
from sottovoce.posttraining.sweep import FULL, Trial, word_error_rates
from sottovoce.quantizers.activations import Range, max_range
from sottovoce.quantizers.ranges import initial_affine
from sottovoce.runtime.recognition import recognise, references
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
            quantized = Quantized(rounded(layer.weight, 3, "max")[0], Range(-0.5, 0.5))
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


def test_a_sweep_finds_the_rates_of_whole_runs_and_goes_on(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    recogniser = make_recogniser(initializer_range=0.3)
    recogniser.model.requires_grad_(requires_grad=False)
    layers = quantizable(recogniser)
    trials = {
        f"{name} {bits}": Trial(name, Quantized(rounded(layer.weight, bits, "max")[0], None))
        for name, layer in layers.items()
        for bits in (2, 8)
    }
    kept = tmp_path / "kept.json"
    rates = word_error_rates(recogniser, layers, trials, corpus, kept, QUIET)
    reference = references(recogniser, corpus)
    assert rates[FULL] == score(reference, recognise(recogniser, corpus).transcripts).wer
    for name, trial in trials.items():
        with replaced(layers, {trial.layer: trial.quantized}):
            own = score(reference, recognise(recogniser, corpus).transcripts)
        assert rates[name] == own.wer, name
    assert len(set(rates.values())) > 1
    recogniser.model.lm_head.weight.zero_()  # what is kept is not computed again
    assert word_error_rates(recogniser, layers, trials, corpus, kept, QUIET) == rates


def test_ranges_adapt_where_a_layer_suffers(
    make_recogniser: MakeRecogniser,
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recogniser = make_recogniser()
    layers = quantizable(recogniser)
    histograms = input_histograms(recogniser, layers, _batches)
    suffering = list(layers)[4]

    def rates(*given: object) -> dict[str, float]:
        trials = given[2]
        assert isinstance(trials, dict)
        if len(trials) == len(layers):
            return {FULL: 0.1, **{name: 0.1 + 0.01 * (name == suffering) for name in trials}}
        assert {trial.layer for trial in trials.values()} == {suffering}
        assert len(trials) == len(PERCENTILES)
        best = f"{suffering} 99.8"
        return {FULL: 0.1, **{name: 0.1 + 0.01 * (name != best) for name in trials}}

    monkeypatch.setattr("sottovoce.posttraining.stablequant.word_error_rates", rates)
    ranges = adapted_ranges(recogniser, layers, histograms, corpus, tmp_path, QUIET)
    for name, histogram in histograms.items():
        if name == suffering:
            assert ranges[name].high < histogram.range.high
        else:
            assert ranges[name] == max_range(histogram)


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
