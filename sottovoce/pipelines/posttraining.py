"""Post-training quantization from end to end: observe, choose ranges or widths, pack, measure."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from sottovoce.artifact.packed_layers import empty_packed
from sottovoce.exporters.whole_numbers import int8_obstacle
from sottovoce.models.checkpoint import load_checkpoint
from sottovoce.models.front_end_biases import add_front_end_biases
from sottovoce.models.recogniser import Recogniser, best_device
from sottovoce.pipelines.delivery import (
    delivered,
    documented,
    measured_baselines,
    measured_on,
    probe,
)
from sottovoce.pipelines.float_inputs import notes_on_float_inputs
from sottovoce.pipelines.prepared import calibrated_inputs
from sottovoce.plan import INPUT_BITS, Plan, Precision
from sottovoce.posttraining.attention import round_attention
from sottovoce.posttraining.calibration import CalibrationSpeech
from sottovoce.posttraining.dials import PostTraining
from sottovoce.posttraining.layers import Layer, Quantized, quantizable, replaced, rounded
from sottovoce.posttraining.mixed import mixed_weights
from sottovoce.posttraining.observing import input_histograms
from sottovoce.posttraining.stablequant import adapted
from sottovoce.quantizers.activations import RULES, mse_range
from sottovoce.report.record import RunRecord
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus, SpeechPath
from sottovoce.training.run import Run

_BITS = 8


def quantize(
    source: str | Path,
    calibration: SpeechPath,
    out: str | Path,
    settings: PostTraining | None = None,
    *,
    evaluate_on: SpeechPath | None = None,
    baseline: str | Path | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> RunRecord:
    """Quantize a CTC recogniser without training it.

    Example:
        ```python
        settings = sottovoce.PostTraining(method="minmax")
        sottovoce.quantize("start", "train.jsonl", "quick", settings, evaluate_on="dev.jsonl")
        ```

    The parameters are the command's.

    Args:
        source: hub id or folder of a full-precision checkpoint with a CTC head.
        calibration: a corpus; audio is enough if `evaluate_on` is given.
        out: folder to write; it must not exist.
        evaluate_on: a corpus; None measures on the calibration speech, and says so.
        baseline: another recogniser to test the result against.
        resume: go on with an interrupted run.

    Returns:
        What `metrics.json` holds.

    Raises:
        InputError: something given cannot be used; nothing has been written then.
    """
    settings, out = settings or PostTraining(), Path(out)
    console = console or Console(stderr=True)
    started = time.monotonic()
    recogniser = load_checkpoint(source).to(best_device())
    recogniser.model.requires_grad_(requires_grad=False)
    speech = read_corpus(calibration, transcribed=evaluate_on is None)
    evaluation = speech if evaluate_on is None else read_corpus(evaluate_on)
    inputs = calibrated_inputs(recogniser, speech, evaluation)
    recipe = settings.to_record()
    with Run.open(out, inputs, {"settings": recipe}, resume=resume, console=console) as run:
        baselines = measured_baselines(recogniser, evaluation, baseline, console)
        packed = _compressed(run, recogniser, speech, settings, console)
        notes = notes_on_float_inputs(packed) if settings.rounds_inputs else ()
        record = documented(
            run,
            packed,
            baselines,
            evaluation,
            console,
            source=str(source),
            begun=started,
            recipe=recipe,
            notes=(*measured_on(speech, evaluation), *notes),
        )
        run.publish()
    return record


def _compressed(
    run: Run, recogniser: Recogniser, speech: Corpus, settings: PostTraining, console: Console
) -> Recogniser:
    """The recogniser, quantized and packed into the run's folder."""
    layers = quantizable(recogniser)
    if settings.method == "stablequant":
        add_front_end_biases(recogniser)
    quantized = _quantized(recogniser, layers, speech, settings, run.path, console)
    by = {name: one for name, (_, one) in quantized.items()}
    if settings.rounds_inputs and not settings.float_attention:
        with replaced(layers, by):
            batches = CalibrationSpeech(recogniser, speech)
            round_attention(recogniser, batches, speech, console)
    plan = Plan({name: precision for name, (precision, _) in quantized.items()})
    return _packed(recogniser, layers, by, plan, run.finished)


def _quantized(
    recogniser: Recogniser,
    layers: dict[str, Layer],
    speech: Corpus,
    settings: PostTraining,
    work: Path,
    console: Console,
) -> dict[str, tuple[Precision, Quantized]]:
    """What every layer becomes, and its precision."""
    precisions = dict.fromkeys(layers, Precision(_BITS))
    by = {name: rounded(layer.weight, Precision(_BITS)) for name, layer in layers.items()}
    batches = CalibrationSpeech(recogniser, speech)
    if settings.method == "mixed":
        for name, (precision, quantized) in mixed_weights(
            recogniser, layers, batches, settings.precisions, settings.bits, console
        ).items():
            precisions[name], by[name] = precision, quantized
    if settings.rounds_inputs:
        fitting = {
            name: layer
            for name, layer in layers.items()
            if not int8_obstacle(precisions[name], (len(layer.weight), layer.weight[0].numel()))
        }
        histograms = input_histograms(recogniser, fitting, batches)
        if settings.method == "stablequant":
            by = adapted(
                recogniser,
                layers,
                by,
                histograms,
                batches,
                speech,
                work,
                console,
                float_inputs=settings.float_inputs,
            )
        else:
            rule = RULES.get(settings.method, mse_range)
            by |= {name: replace(by[name], inputs=rule(one)) for name, one in histograms.items()}
    return {
        name: (_with_inputs(precisions[name], by[name].inputs is not None), by[name])
        for name in layers
    }


def _with_inputs(precision: Precision, rounds: bool) -> Precision:
    return replace(precision, input_bits=INPUT_BITS if rounds else None)


def _packed(
    recogniser: Recogniser,
    layers: dict[str, Layer],
    by: Mapping[str, Quantized],
    plan: Plan,
    folder: Path,
) -> Recogniser:
    @contextmanager
    def quantized() -> Iterator[Recogniser]:
        with recogniser.evaluating(), replaced(layers, by):
            yield recogniser

    expected = probe(quantized)
    packed = {}
    for name, layer in layers.items():
        one = by[name]
        bias = layer.bias if one.bias is None else one.bias
        packed[name] = empty_packed(layer, plan[name]).store(one.weight, one.affine, bias)
        if one.inputs is not None:
            packed[name].store_range(one.inputs)
    return delivered(folder, recogniser, packed, plan, expected)
