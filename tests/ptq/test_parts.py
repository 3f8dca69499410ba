"""The parts of post-training quantization on tiny recognisers."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from precisions import described
from rich.console import Console
from tiny import FAMILIES, noise, tiny_corpus, tiny_recogniser
from torch import nn

from sottovoce.errors import InputError
from sottovoce.models.front_end_biases import add_front_end_biases
from sottovoce.models.recogniser import Recogniser
from sottovoce.ptq.adaptive import adapt_ranges
from sottovoce.ptq.arithmetic import multiply_adds
from sottovoce.ptq.calibration import CalibrationSpeech
from sottovoce.ptq.effort import (
    FITTING_SHARE,
    FREED,
    REFITS,
    SHORTEST_SECONDS,
    TRIED_ALONE,
    Job,
    replaying,
)
from sottovoce.ptq.gptq import gptq_round, inverse_factor, second_moments
from sottovoce.ptq.layers import (
    Quantized,
    quantizable_layers,
    quantized_layers,
    quantizing,
    round_weight,
)
from sottovoce.ptq.observing import input_histograms
from sottovoce.ptq.ranking import budgeted_divergences, rank_layers
from sottovoce.ptq.refitting import Fitted, can_be_fitted, refit_layer
from sottovoce.ptq.stablequant import clipped_range, published, rise_of
from sottovoce.ptq.sweep import Change, measure_changes, recognitions, select_harmless
from sottovoce.quantization.activations import Range
from sottovoce.quantization.plan import Precision
from sottovoce.quantization.ranges import initial_affine
from sottovoce.runtime.recognition import recognise, references
from sottovoce.scoring import Transcripts, score
from sottovoce.sensitivity.replay import Replay
from sottovoce.sensitivity.trials import most_divergent
from sottovoce.speech.corpus import Corpus

MakeRecogniser = Callable[..., Recogniser]
JOB = Job(Console(quiet=True), {})


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
    layers = quantizable_layers(recogniser)
    elsewhere = (*recogniser.family.front_end.modules, *recogniser.family.unused)
    with recogniser.evaluating():
        features = recogniser.features([noise(0.4), noise(0.3, seed=1)])
        replay = Replay(recogniser, features)
        assert torch.equal(replay.logits, recogniser.logits(features))
        for name, layer in layers.items():
            if any(path in name for path in elsewhere):
                continue
            quantized = replace(
                round_weight(layer.weight, Precision(3), "max"), inputs=Range(-0.5, 0.5)
            )
            with quantized_layers(layers, {name: quantized}):
                found, expected = replay.again(name), recogniser.logits(features)
            assert torch.equal(found, expected), name
            assert not torch.equal(found, replay.logits), name
        assert torch.equal(recogniser.logits(features), replay.logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_that_is_called_is_seen(make_recogniser: MakeRecogniser, family: str) -> None:
    recogniser = make_recogniser(family)
    layers = quantizable_layers(recogniser)
    histograms = input_histograms(recogniser, layers, _batches)
    unseen = layers.keys() - histograms.keys()
    if family == "wavlm":  # its attention multiplies by the weights itself
        assert {name.rsplit(".", 1)[1] for name in unseen} == {
            *("q_proj", "k_proj", "v_proj", "out_proj")
        }
    else:
        tables = {name for name, layer in layers.items() if isinstance(layer, nn.Embedding)}
        assert unseen >= tables
        assert all(
            any(path in name for path in recogniser.family.unused) for name in unseen - tables
        )


def test_the_first_layer_sees_the_waveforms(make_recogniser: MakeRecogniser) -> None:
    recogniser = make_recogniser()
    layers = quantizable_layers(recogniser)
    histograms, first = input_histograms(recogniser, layers, _batches), next(iter(layers))
    waveforms = [one for batch in _batches() for one in batch]
    normalised = recogniser.processor.feature_extractor(waveforms, sampling_rate=16000)
    highest = max(float(one.max()) for one in normalised.input_values)
    assert histograms[first].range.high == pytest.approx(highest, rel=1e-5)
    assert histograms[first].counts.sum() == sum(len(one) for one in waveforms)


def test_silence_cannot_calibrate(make_recogniser: MakeRecogniser) -> None:
    recogniser = make_recogniser()
    layers = quantizable_layers(recogniser)
    with pytest.raises(InputError, match=r"inputs of layer .*conv_layers\.0.*not silent"):
        input_histograms(recogniser, layers, lambda: iter([[np.zeros(8000, np.float32)]]))


def test_a_sweep_finds_the_effects_of_whole_runs_and_goes_on(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    recogniser = make_recogniser(initializer_range=0.3)
    recogniser.model.requires_grad_(requires_grad=False)
    layers = quantizable_layers(recogniser)
    two_bits = {
        name: round_weight(layer.weight, Precision(2), "max") for name, layer in layers.items()
    }
    trials = {name: {name: one} for name, one in two_bits.items()}
    behind_the_front_end = dict(list(two_bits.items())[3:])
    trials |= {"everything": two_bits, "most": behind_the_front_end}
    kept = tmp_path / "kept.json"
    first = dict(list(trials.items())[:2])
    found = measure_changes(recogniser, layers, first, corpus, kept, JOB)
    found |= measure_changes(recogniser, layers, trials, corpus, kept, JOB)
    full = recognise(recogniser, corpus).transcripts
    for name, trial in trials.items():
        with quantized_layers(layers, trial):
            own = recognise(recogniser, corpus).transcripts
        assert found[name].share == score(full, own).wer, name
    assert len({one.share for one in found.values()}) > 1
    recogniser.model.lm_head.weight.zero_()  # what is kept is not computed again
    assert measure_changes(recogniser, layers, trials, corpus, kept, JOB) == found


def test_divergences_are_those_of_whole_runs(
    make_recogniser: MakeRecogniser, corpus: Corpus
) -> None:
    recogniser = make_recogniser(initializer_range=0.3)
    recogniser.model.requires_grad_(requires_grad=False)
    layers = quantizable_layers(recogniser)
    two_bits = {
        name: round_weight(layer.weight, Precision(2), "max") for name, layer in layers.items()
    }
    trials = {name: quantizing(layers, {name: one}) for name, one in two_bits.items()}
    speech = CalibrationSpeech(recogniser, corpus)
    found = budgeted_divergences(recogniser, trials, speech, 1e6, JOB)
    waveforms = [one for batch in speech() for one in batch]

    def distributions() -> torch.Tensor:
        logits = [torch.from_numpy(recogniser.frame_logits([one])[0]) for one in waveforms]
        return torch.cat(logits).double().log_softmax(1)

    full = distributions()
    for name, one in two_bits.items():
        with quantized_layers(layers, {name: one}):
            under = distributions()
        expected = float((full.exp() * (full - under)).sum(1).mean())
        assert found[name] == pytest.approx(expected, rel=1e-3, abs=1e-7), name
    order = most_divergent(found)
    assert sorted(order) == sorted(found)
    assert found[order[0]] == max(found.values()) > min(found.values()) == found[order[-1]]
    assert most_divergent({"a": 1.0, "broken": float("nan"), "b": 2.0}) == ["broken", "b", "a"]


def test_a_ranking_computes_no_more_than_its_budget(
    make_recogniser: MakeRecogniser, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the speech and however many the trials."""
    recogniser = make_recogniser()
    layers = quantizable_layers(recogniser)
    trials = {
        name: quantizing(layers, {name: round_weight(layer.weight, Precision(8))})
        for name, layer in layers.items()
    }
    spent = []
    monkeypatch.setattr(Job, "advance", lambda _, seconds: spent.append(seconds))
    seconds = 3600 * corpus.hours
    passes = 0.9 * len(trials)
    assert passes * seconds / len(trials) > SHORTEST_SECONDS
    budgeted_divergences(recogniser, trials, CalibrationSpeech(recogniser, corpus), passes, JOB)
    most = replaying(passes * seconds)
    assert 0.2 * most < sum(spent) <= most * 1.001


@pytest.mark.parametrize("count", [1, 2, 22, 82])
@pytest.mark.parametrize("bearable", [0, 1, 20, 100])
def test_as_many_as_do_no_harm_are_found_in_few_recognitions(count: int, bearable: int) -> None:
    """Those that diverge least; n of them, and one recognition more than log2(n) at most."""
    asked: list[int] = []

    def change(names: Sequence[int]) -> Change:
        asked.append(len(names))
        assert set(names) == set(range(len(names)))
        return Change(25 if len(names) <= bearable else 26, 10_000)

    backwards = list(range(count))[::-1]
    found = select_harmless(backwards, change, lambda: {one: float(one) for one in backwards})
    assert sorted(found) == list(range(min(count, bearable)))
    assert len(asked) <= recognitions(count)


@pytest.mark.parametrize(
    ("errors", "words", "harm"),
    [
        (0, 100, False),
        (1, 100, False),  # 1%, but there is no less
        (2, 100, True),
        (25, 10_000, False),
        (26, 10_000, True),
        (1, 0, False),
        (2, 0, True),
    ],
)
def test_a_change_does_harm_above_a_quarter_per_cent_and_a_word(
    errors: int, words: int, harm: bool
) -> None:
    assert Change(errors, words).does_harm == harm


class _Told:
    """Stands for a sweep: layer `suffering` alone changes words, and the whole model as told."""

    def __init__(self, suffering: Sequence[str], changes: list[int]) -> None:
        self.suffering, self.changes = suffering, changes
        self.alone: list[str] = []
        self.wholes: list[dict[str, Quantized]] = []

    def __call__(self, *given: object) -> dict[str, Change]:
        trials = given[2]
        assert isinstance(trials, dict)
        if len(trials) == 1:
            self.wholes.append(dict(next(iter(trials.values()))))
            return {name: Change(self.changes.pop(0), 1000) for name in trials}
        self.alone = list(trials)
        return {name: Change(10 * (name in self.suffering), 1000) for name in trials}


class _Suffering:
    """A recogniser two of whose layers suffer: those that diverge most."""

    def __init__(self, recogniser: Recogniser, corpus: Corpus, count: int = 2) -> None:
        self.recogniser, self.layers = recogniser, quantizable_layers(recogniser)
        add_front_end_biases(recogniser)
        recogniser.model.requires_grad_(requires_grad=False)
        self.speech = CalibrationSpeech(recogniser, corpus)
        self.histograms = input_histograms(recogniser, self.layers, self.speech)
        self.plain = {
            name: round_weight(one.weight, Precision(8)) for name, one in self.layers.items()
        }
        wide = {
            name: replace(self.plain[name], inputs=one.range)
            for name, one in self.histograms.items()
        }
        self.order = rank_layers(recogniser, self.layers, wide, self.speech, JOB)
        self.names = [name for name in self.layers if name in self.order[:count]]

    def adapt_ranges(self, work: Path, *, float_inputs: bool = True) -> dict[str, Quantized]:
        return adapt_ranges(
            *(self.layers, self.plain, self.histograms, self.speech, work, JOB),
            float_inputs=float_inputs,
        )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> _Suffering:
    """Measuring takes longer than what most tests do with it."""
    home = tmp_path_factory.mktemp("suffering")
    return _Suffering(tiny_recogniser(home), tiny_corpus(home / "speech"))


@pytest.fixture
def place(measured: _Suffering) -> _Suffering:
    return deepcopy(measured)


def test_layers_adapt_where_they_suffer(
    place: _Suffering,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = _Told(place.names, [0])
    monkeypatch.setattr("sottovoce.ptq.adaptive.measure_changes", told)
    found = place.adapt_ranges(tmp_path)
    assert told.alone == place.order[:TRIED_ALONE]
    assert found.keys() == place.layers.keys()
    for name, quantized in found.items():
        suffers = name in place.names and can_be_fitted(place.layers[name])
        assert torch.equal(quantized.weight, place.plain[name].weight) != suffers
        assert (quantized.inputs == place.histograms[name].range) <= (name not in place.names)
        assert (quantized.bias is None) != suffers


@pytest.mark.parametrize(
    ("changes", "freed", "kept"),
    [
        ([2], [0], 0),
        ([10, 2], [0, 1], 1),
        ([10, 20, 1], [0, 1, 2], 2),
        ([10, 20, 20, 1], [0, 1, 2, 4], 3),
        ([20, 10, 10, 20, 20, 20], [0, 1, 2, 4, 8, 17], 1),  # all, and it is never enough
    ],
)
def test_the_most_harmful_inputs_stay_in_floating_point(
    place: _Suffering,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: list[int],
    freed: list[int],
    kept: int,
) -> None:
    """Twice as many at each try: sensitive ones by their harm, then the others by divergence."""
    told = _Told(place.names, changes)
    monkeypatch.setattr("sottovoce.ptq.adaptive.measure_changes", told)
    found = place.adapt_ranges(tmp_path)
    floating = [
        {name for name, one in whole.items() if one.inputs is None} for whole in told.wholes
    ]
    assert [len(one) for one in floating] == freed
    assert told.wholes[kept] == found
    assert changes == []
    harms: dict[str, float] = {}
    speech = place.speech.sample(FITTING_SHARE * place.speech.seconds)
    for name in place.names:
        before = {one: told.wholes[0][one] for one in harms}
        harms[name] = refit_layer(
            *(place.recogniser, place.layers, name, before, place.histograms[name], speech),
            len(speech.corpus.utterances),
        ).harm
    by_harm = sorted(harms, key=lambda name: -harms[name])
    order = [*by_harm, *(name for name in place.order if name not in harms)]
    for names, count in zip(floating, freed, strict=True):
        assert names == set(order[:count])


def test_refits_are_bounded_where_every_layer_suffers(
    place: _Suffering,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = _Told(list(place.layers), [9] * (len(FREED) + 1))
    fits = []

    def counted(*given: Any) -> Fitted:
        fits.append(given[2])
        return refit_layer(*given)

    monkeypatch.setattr("sottovoce.ptq.adaptive.measure_changes", told)
    monkeypatch.setattr("sottovoce.ptq.adaptive.refit_layer", counted)
    found = place.adapt_ranges(tmp_path)
    assert len(told.alone) == TRIED_ALONE
    assert 0 < len(fits) <= REFITS
    assert len(told.wholes) == len(FREED) + 1
    assert found == told.wholes[0]  # nothing was better


def test_floating_point_inputs_can_be_forbidden(
    place: _Suffering,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = _Told(place.names, [500])
    monkeypatch.setattr("sottovoce.ptq.adaptive.measure_changes", told)
    found = place.adapt_ranges(tmp_path, float_inputs=False)
    assert all(one.inputs is not None for one in found.values())


def test_stablequant_clips_sensitive_layers_alone_and_fits_nothing(
    place: _Suffering,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the word error rate: at 99.8% the fewest errors are made, at 99.9% as many."""
    right = {one.id: (one.speaker, ("ab", "cd", "ef")) for one in place.speech.corpus.utterances}
    wrong = {one.id: (one.speaker, ("ab", "cd")) for one in place.speech.corpus.utterances}

    def told(*given: Any) -> dict[str, Transcripts]:
        """Full precision is right; so is what does not suffer, and what is clipped enough."""
        good = {"full precision"} | {
            name
            for name in given[2]
            if (" at " in name and name.endswith(("99.8%", "99.9%")))
            or (" at " not in name and name not in place.names)
        }
        return {
            name: Transcripts(name, right if name in good else wrong)
            for name in ("full precision", *given[2])
        }

    monkeypatch.setattr(
        "sottovoce.ptq.stablequant.references",
        lambda *_: Transcripts("reference", right),
    )
    monkeypatch.setattr("sottovoce.ptq.stablequant.transcripts", told)
    found = published(
        *(place.layers, place.plain, place.histograms, place.speech),
        *(tmp_path, JOB),
    )
    for name, quantized in found.items():
        histogram = place.histograms[name]
        clipped = clipped_range(histogram, 99.9)
        assert quantized.inputs == (clipped if name in place.names else histogram.range)
        assert torch.equal(quantized.weight, place.plain[name].weight)
        assert quantized.bias is None


def test_stablequant_calls_a_layer_sensitive_above_a_quarter_per_cent(
    place: _Suffering,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    below, above = place.names
    rises = {below: 0.0024, above: 0.0026}

    def rise(_: Transcripts, trial: Transcripts) -> float:
        """Quantized alone; less is lost the more of a layer's inputs are clipped."""
        name, *percent = trial.name.split(" at ")
        return float(percent[0].rstrip("%")) if percent else rises.get(name, 0.0)

    monkeypatch.setattr("sottovoce.ptq.stablequant.rise_of", lambda *_: (rise, "word error rate"))
    monkeypatch.setattr(
        "sottovoce.ptq.stablequant.transcripts",
        lambda *given: {name: Transcripts(name, {}) for name in ("full precision", *given[2])},
    )
    found = published(
        *(place.layers, place.plain, place.histograms, place.speech),
        *(tmp_path, JOB),
    )
    ranges = {name: histogram.range for name, histogram in place.histograms.items()}
    ranges[above] = clipped_range(place.histograms[above], 99.5)
    assert {name: quantized.inputs for name, quantized in found.items()} == ranges


def test_stablequant_counts_errors_where_there_are_transcripts(
    make_recogniser: MakeRecogniser, corpus: Corpus
) -> None:
    """A word that was wrong in full precision and is right under a trial counts for the trial."""
    recogniser = make_recogniser()
    reference = references(recogniser, corpus)
    full = Transcripts("full", {name: (who, ()) for name, (who, _) in reference.utterances.items()})
    rise, measured = rise_of(recogniser, corpus)
    assert rise(full, reference) == -1.0
    assert "word error rate" in measured
    untold = Corpus("audio", tuple(replace(one, text="") for one in corpus.utterances))
    rise, measured = rise_of(recogniser, untold)
    assert rise(reference, full) == 1.0
    assert "audio has no transcripts" in measured


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
    layers = quantizable_layers(recogniser)
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
    plain = replace(round_weight(layer.weight, Precision(8), "mse"), inputs=histograms[name].range)
    with recogniser.evaluating():
        both = refit_layer(recogniser, layers, name, {}, histograms[name], speech, 6)

    def error(quantized: Quantized | None) -> float:
        outputs: list[torch.Tensor] = []
        handle = layer.register_forward_hook(lambda _, __, output: outputs.append(output))
        with torch.no_grad(), recogniser.evaluating():
            for waveforms in speech():
                recogniser.logits(recogniser.features(waveforms))
                with quantized_layers(layers, {} if quantized is None else {name: quantized}):
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
    layers = quantizable_layers(make_recogniser())
    assert [name for name, one in layers.items() if not can_be_fitted(one)] == [
        "wav2vec2.encoder.pos_conv_embed.conv"
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_multiply_adds_are_those_of_the_layers_that_are_called(
    make_recogniser: MakeRecogniser, family: str
) -> None:
    recogniser = make_recogniser(family)
    layers = quantizable_layers(recogniser)
    found = multiply_adds(recogniser, layers)
    assert found.keys() == input_histograms(recogniser, layers, _batches).keys()
    last, outputs = recogniser.family.head, recogniser.frames_of(16000)
    if family == "whisper":  # the last matrix of its decoder, at every token that is given
        last = list(layers)[-1]
        outputs = len(recogniser.head.sample_targets) + len(recogniser.head.prefix) - 1
    assert found[last] == outputs * layers[last].weight.numel()


def test_multiply_adds_of_convolutions_are_of_every_window(
    make_recogniser: MakeRecogniser,
) -> None:
    recogniser = make_recogniser()
    first, second = list(multiply_adds(recogniser, quantizable_layers(recogniser)).values())[:2]
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
    layers = quantizable_layers(recogniser)
    moments = second_moments(recogniser, layers, _batches)
    better = 0
    for name, own in moments.items():
        weight = layers[name].weight.detach().flatten(1)
        quantizer = precision.quantizer
        affine = initial_affine(weight, quantizer, "mse")
        plain = quantizer.rounded(weight, affine)
        found = gptq_round(weight, affine, quantizer, inverse_factor(own))
        assert torch.equal(quantizer.rounded(found, affine), found)
        errors = [float(((one - weight) @ own * (one - weight)).sum()) for one in (plain, found)]
        better += errors[1] < errors[0]
    assert better >= len(moments) - 1
    assert len(moments) == len(recogniser.family.shapes(recogniser.model)) + 2


def test_inputs_that_cannot_be_squared_are_refused_by_name(make_recogniser: MakeRecogniser) -> None:
    recogniser = make_recogniser()
    layers = {
        name: layer
        for name, layer in quantizable_layers(recogniser).items()
        if "output_dense" in name
    }
    name = next(iter(layers))
    recogniser.model.get_submodule(name.replace("output", "intermediate")).weight.data *= 1e30
    with pytest.raises(InputError, match=f"inputs of layer '{name}' grow beyond"):
        second_moments(recogniser, layers, _batches)
