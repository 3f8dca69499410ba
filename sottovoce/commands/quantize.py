"""Post-training quantization from end to end: observe, choose ranges or widths, pack, measure."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from sottovoce.artifact.packed_layers import bias_of, empty_packed
from sottovoce.commands.delivery import (
    evaluate_and_report,
    measured_baselines,
    pack_and_verify,
    probe_logits,
)
from sottovoce.commands.float_inputs import float_input_notes
from sottovoce.commands.prepared import Calibrated
from sottovoce.commands.scored_systems import print_warnings
from sottovoce.config.decoding import Decoding
from sottovoce.config.post_training import PostTraining
from sottovoce.errors import InputError
from sottovoce.graph.int8_weights import int8_obstacle
from sottovoce.loading import load_checkpoint
from sottovoce.models.front_end_biases import add_front_end_biases
from sottovoce.models.recogniser import Recogniser, best_device
from sottovoce.ptq import adaptive, attention, mixed, stablequant
from sottovoce.ptq.arithmetic import calibration_minutes
from sottovoce.ptq.attention import round_attention
from sottovoce.ptq.calibration import CalibrationSpeech, sample_note
from sottovoce.ptq.effort import Job
from sottovoce.ptq.layers import (
    Layer,
    Quantized,
    quantizable_layers,
    quantized_layers,
    round_weight,
)
from sottovoce.ptq.observing import PASSES_OF_RANGES, input_histograms
from sottovoce.quantization.activations import RULES, mse_range
from sottovoce.quantization.plan import INPUT_BITS, Plan, Precision
from sottovoce.record import RunRecord
from sottovoce.runtime.recognition import recognise
from sottovoce.scoring.foresight import empty_output_warnings, wordless_warnings
from sottovoce.scoring.wer import Score
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus, SpeechPath
from sottovoce.training.run import Run

_BITS = 8
_RANGES = "finding ranges"


def quantize(
    source: str | Path,
    calibration: SpeechPath,
    out: str | Path,
    settings: PostTraining | None = None,
    *,
    evaluate_on: SpeechPath | None = None,
    baseline: str | Path | None = None,
    decoding: Decoding | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> RunRecord:
    """Quantize a recogniser without training it.

    Example:
        ```python
        settings = sottovoce.PostTraining(method="minmax")
        sottovoce.quantize("start", "train.jsonl", "quick", settings, evaluate_on="dev.jsonl")
        ```

    The parameters are the command's.

    Args:
        source: hub id or folder of a full-precision checkpoint with its head.
        calibration: a corpus; audio is enough if `evaluate_on` is given.
        evaluate_on: a corpus; None measures on the calibration speech, and says so.
        baseline: another recogniser to test the result against.
        decoding: how an attention decoder writes; None is as the checkpoint says.

    Raises:
        InputError: something given cannot be used; nothing has been written then.
    """
    console, begun = console or Console(stderr=True), time.monotonic()
    settings = settings or PostTraining()
    start = _start(source, calibration, evaluate_on, settings, decoding)
    settings = replace(settings, calibration_minutes=start.minutes)
    recipe = settings.to_record()
    with Run.open(
        Path(out), start.inputs, {"settings": recipe}, resume=resume, console=console
    ) as run:
        baselines = measured_baselines(start.recogniser, start.evaluation, baseline, console)
        speech = start.speech
        notes = (
            *sample_note(start.calibration, speech.corpus),
            *_foresight(speech, settings, baselines[0].score, source, start.evaluation),
        )
        print_warnings(notes, console)
        packed = _compressed(run, speech, settings, console)
        notes = (*start.overlap_notes, *notes)
        if settings.rounds_inputs:
            notes += float_input_notes(packed)
        facts: dict[str, Any] = {"source": str(source), "recipe": recipe, "notes": notes}
        record = evaluate_and_report(
            run, packed, baselines, start.evaluation, console, begun=begun, **facts
        )
        run.publish()
    return record


def _start(
    source: str | Path,
    calibration: SpeechPath,
    evaluate_on: SpeechPath | None,
    settings: PostTraining,
    decoding: Decoding | None,
) -> Calibrated:
    recogniser = load_checkpoint(source, decoding).to(best_device())
    recogniser.model.requires_grad_(requires_grad=False)
    minutes = settings.calibration_minutes or calibration_minutes(recogniser)
    speech = _calibration_speech(calibration, settings, transcribed=evaluate_on is None)
    evaluation = speech if evaluate_on is None else read_corpus(evaluate_on)
    return Calibrated(source, recogniser, speech, minutes, evaluation)


def _compressed(
    run: Run, chosen: CalibrationSpeech, settings: PostTraining, console: Console
) -> Recogniser:
    """The recogniser, quantized and packed into the run's folder."""
    recogniser = chosen.recogniser
    layers = quantizable_layers(recogniser)
    if settings.method == "adaptive":
        add_front_end_biases(recogniser)
    with Job(console, _phases(chosen, settings)) as job:
        quantized = _quantized(layers, chosen, settings, run.path, job)
        by = {name: result for name, (_, result) in quantized.items()}
        if settings.rounds_attention:
            with quantized_layers(layers, by):
                round_attention(recogniser, chosen, job)
    plan = Plan({name: precision for name, (precision, _) in quantized.items()})
    return _packed(recogniser, layers, by, plan, run.finished)


def _calibration_speech(path: SpeechPath, settings: PostTraining, *, transcribed: bool) -> Corpus:
    """With transcripts where these must be there, or where the method counts errors by them."""
    if not transcribed and settings.method == "stablequant":
        with suppress(InputError):
            return read_corpus(path)
    return read_corpus(path, transcribed=transcribed)


def _foresight(
    chosen: CalibrationSpeech,
    settings: PostTraining,
    before: Score,
    source: str | Path,
    evaluation: Corpus,
) -> tuple[str, ...]:
    """What is known to be in vain before anything is quantized."""
    told = empty_output_warnings(before, source, evaluation.name)
    if told or not settings.rounds_inputs:
        return told
    full = recognise(chosen.recogniser, chosen.corpus).transcripts
    return wordless_warnings(full, source, chosen.corpus.name)


def _phases(chosen: CalibrationSpeech, settings: PostTraining) -> dict[str, float]:
    """What may be computed at most, in seconds of speech."""
    recogniser, seconds = chosen.recogniser, chosen.seconds
    found: dict[str, float] = {}
    if settings.method == "mixed":
        found |= mixed.phases(recogniser, len(settings.precisions), seconds)
    if settings.rounds_inputs:
        found[_RANGES] = PASSES_OF_RANGES * seconds
    if settings.method == "adaptive":
        found |= adaptive.phases(seconds)
    if settings.method == "stablequant":
        found |= stablequant.phases(seconds)
    if settings.rounds_attention:
        found |= attention.phases(recogniser, seconds)
    return found


def _quantized(
    layers: dict[str, Layer],
    chosen: CalibrationSpeech,
    settings: PostTraining,
    work: Path,
    job: Job,
) -> dict[str, tuple[Precision, Quantized]]:
    """What every layer becomes, and its precision."""
    recogniser = chosen.recogniser
    precisions = dict.fromkeys(layers, Precision(_BITS))
    by = {name: round_weight(layer.weight, Precision(_BITS)) for name, layer in layers.items()}
    if settings.method == "mixed":
        for name, (precision, quantized) in mixed.mixed_weights(
            recogniser, layers, chosen, settings.precisions, settings.bits, job
        ).items():
            precisions[name], by[name] = precision, quantized
    if settings.rounds_inputs:
        fitting = {
            name: layer
            for name, layer in layers.items()
            if not int8_obstacle(precisions[name], (len(layer.weight), layer.weight[0].numel()))
        }
        with job.phase(_RANGES):
            histograms = input_histograms(recogniser, fitting, chosen.counting(job))
        given = (layers, by, histograms, chosen, work, job)
        if settings.method == "adaptive":
            by = adaptive.adapt_ranges(*given, float_inputs=settings.float_inputs)
        elif settings.method == "stablequant":
            by = stablequant.published(*given)
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
        with recogniser.evaluating(), quantized_layers(layers, by):
            yield recogniser

    expected = probe_logits(quantized)
    packed = {}
    for name, layer in layers.items():
        one = by[name]
        bias = bias_of(layer) if one.bias is None else one.bias
        packed[name] = empty_packed(layer, plan[name]).store(one.weight, one.affine, bias)
        if one.inputs is not None:
            packed[name].store_range(one.inputs)
    return pack_and_verify(folder, recogniser, packed, plan, expected)
