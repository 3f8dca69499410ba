"""Post-training quantization from end to end: observe, choose ranges or widths, pack, measure."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import tomli_w
import torch
from rich.console import Console

from sottovoce.artifact.packed_layers import empty_packed
from sottovoce.candidates import Candidates, precisions_of
from sottovoce.errors import InputError
from sottovoce.models.checkpoint import load_checkpoint
from sottovoce.models.recogniser import Recogniser, best_device
from sottovoce.pipelines.delivery import (
    baseline_of,
    delivered,
    probe,
    record_of,
    write_papers,
)
from sottovoce.pipelines.measured import (
    Measured,
    float_system,
    scored,
)
from sottovoce.plan import INPUT_BITS, Plan, Precision
from sottovoce.posttraining.layers import Layer, Quantized, quantizable, replaced, rounded
from sottovoce.posttraining.mixed import mixed_weights
from sottovoce.posttraining.observing import Waveforms, input_histograms
from sottovoce.posttraining.stablequant import adapted_ranges
from sottovoce.quantizers.activations import RULES, Range, mse_range
from sottovoce.quantizers.affine import Affine
from sottovoce.report.record import RunRecord
from sottovoce.speech.batching import evaluation_order
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.loading import prefetched
from sottovoce.training.state import WorkFolder

METHODS = ("stablequant", *RULES, "mixed")
_BITS = 8
_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class PostTraining:
    """The dials of a post-training quantization.

    Attributes:
        method: "stablequant"; one of the rules for all layers' inputs, "minmax", "percentile",
            "mse", "entropy"; or "mixed", widths under a size.
        bits: of "mixed": nominal bits of the encoder's matrices, at most. Else 8.
        candidates: of "mixed": what a matrix may take, in a recipe's words.
        scale_bits: of "mixed": of the matrices' scales and offsets, 16; None for 32.
        inputs: whether what goes into the layers takes 8 bits too; the 8-bit methods always do.
    """

    method: str = "stablequant"
    bits: float = float(_BITS)
    candidates: Candidates = (2, 3, 4, 6, 8)
    scale_bits: int | None = None
    inputs: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"method is {self.method!r}; it must be one of {METHODS}")
        if self.method != "mixed" and self.bits != _BITS:
            raise InputError(f"method {self.method} has 8 bits; give --method mixed for others")
        low, high = min(self.precisions), max(self.precisions)
        if not low <= self.bits <= high:
            raise InputError(f"bits is {self.bits}; it must lie in {low} to {high}")

    @property
    def precisions(self) -> dict[int, Precision]:
        """Width -> the candidate of it, narrowest first."""
        found = precisions_of(
            self.candidates,
            lambda bits: "half" if bits <= 2 else "symmetric",
            scale_bits=self.scale_bits,
        )
        return {one.bits: one for one in found.values()}

    @property
    def listens(self) -> bool:
        """Whether transcripts of the calibration speech are used."""
        return self.method == "stablequant"

    def to_record(self) -> dict[str, object]:
        inputs = self.inputs or self.method != "mixed"
        dials = {"method": self.method, "bits": self.bits, "inputs": inputs}
        if self.method != "mixed":
            return dials
        halves = {"scale_bits": self.scale_bits} if self.scale_bits else {}
        return {**dials, "candidates": list(self.candidates), **halves}


def quantize(
    source: str | Path,
    calibration: str | Path,
    out: str | Path,
    settings: PostTraining | None = None,
    *,
    evaluate_on: str | Path | None = None,
    baseline: str | Path | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> RunRecord:
    """Quantize a CTC recogniser without training it.

    Args:
        source: hub id or folder of a full-precision checkpoint with a CTC head.
        calibration: a corpus; audio is enough unless the method is "stablequant" or nothing else
            is there to evaluate on.
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
    transcribed = settings.listens or evaluate_on is None
    speech = read_corpus(calibration, transcribed=transcribed)
    evaluation = speech if evaluate_on is None else read_corpus(evaluate_on)
    work = WorkFolder.open(
        out,
        {
            "set of weights": recogniser.fingerprint(),
            "calibration speech": speech.fingerprint,
            "evaluation speech": evaluation.fingerprint,
            "settings": settings.to_record(),
        },
        resume,
    )
    with work.forgotten_while_empty():
        before = scored(recogniser, evaluation, "input checkpoint", console)
        baselines = [Measured(float_system("input checkpoint", recogniser, before), before)]
        if baseline is not None:
            baselines.append(baseline_of(baseline, evaluation, before.reference, console))
        layers = quantizable(recogniser)
        weights = _weights(recogniser, layers, speech, settings, console)
        ranges = _ranges(recogniser, layers, speech, settings, work.path, console)
    plan = Plan({name: _with_inputs(weights[name][0], ranges.get(name)) for name in layers})
    finished = work.path / "finished"
    packed = _packed(recogniser, layers, weights, ranges, plan, finished)
    after = scored(packed, evaluation, "compressed", console)
    record = record_of(
        packed,
        finished,
        baselines,
        after,
        source=str(source),
        evaluated_on=evaluation.name,
        seconds=time.monotonic() - started,
        recipe=settings.to_record(),
        notes=_notes(layers, ranges, plan, measured_on_calibration=evaluate_on is None),
    )
    write_papers(finished, record, tomli_w.dumps(settings.to_record()), after, out.name)
    os.replace(finished, out)
    shutil.rmtree(work.path)
    return record


_Weights = dict[str, tuple[Precision, torch.Tensor, Affine]]
"""Layer -> precision, weight on its grid, scales and offsets."""


def _weights(
    recogniser: Recogniser,
    layers: dict[str, Layer],
    speech: Corpus,
    settings: PostTraining,
    console: Console,
) -> _Weights:
    found: _Weights = {
        name: (Precision(_BITS), *rounded(layer.weight, _BITS, "mse"))
        for name, layer in layers.items()
    }
    if settings.method == "mixed":
        batches = _Batches(recogniser, speech)
        found |= mixed_weights(
            recogniser, layers, batches, settings.precisions, settings.bits, console
        )
    return found


def _ranges(
    recogniser: Recogniser,
    layers: dict[str, Layer],
    speech: Corpus,
    settings: PostTraining,
    work: Path,
    console: Console,
) -> dict[str, Range]:
    if settings.method == "mixed" and not settings.inputs:
        return {}
    histograms = input_histograms(recogniser, layers, _Batches(recogniser, speech))
    if settings.method == "stablequant":
        return adapted_ranges(recogniser, layers, histograms, speech, work, console)
    rule = RULES.get(settings.method, mse_range)
    return {name: rule(histogram) for name, histogram in histograms.items()}


class _Batches:
    """The calibration speech from its beginning, at every call."""

    def __init__(self, recogniser: Recogniser, speech: Corpus) -> None:
        self.rate = recogniser.sampling_rate
        self.speech = speech

    def __call__(self) -> Iterator[Waveforms]:
        chosen = evaluation_order(self.speech.utterances, _SECONDS)
        for batch in prefetched(iter(chosen), self.rate):
            yield [waveform for _, waveform in batch]


def _with_inputs(precision: Precision, span: Range | None) -> Precision:
    return replace(precision, input_bits=None if span is None else INPUT_BITS)


def _packed(
    recogniser: Recogniser,
    layers: dict[str, Layer],
    weights: _Weights,
    ranges: dict[str, Range],
    plan: Plan,
    folder: Path,
) -> Recogniser:
    @contextmanager
    def quantized() -> Iterator[Recogniser]:
        by = {name: Quantized(one[1], ranges.get(name)) for name, one in weights.items()}
        with recogniser.evaluating(), replaced(layers, by):
            yield recogniser

    expected = probe(quantized)
    packed = {}
    for name, layer in layers.items():
        _, weight, affine = weights[name]
        packed[name] = empty_packed(layer, plan[name]).store(weight, affine, layer.bias)
        if name in ranges:
            packed[name].store_range(ranges[name])
    return delivered(folder, recogniser, packed, plan, expected)


def _notes(
    layers: dict[str, Layer],
    ranges: dict[str, Range],
    plan: Plan,
    *,
    measured_on_calibration: bool,
) -> tuple[str, ...]:
    notes = []
    if measured_on_calibration:
        notes.append(
            "Measured on the calibration speech itself; give --dev for speech that chose nothing."
        )
    unseen = [name for name in layers if plan[name].input_bits is None]
    if ranges and unseen:
        notes.append(
            f"8-bit weights but no 8-bit inputs, since the model never calls them as layers: "
            f"{len(unseen)} layers, {unseen[0]} first."
        )
    return tuple(notes)
