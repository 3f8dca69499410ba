"""8-bit inputs for a compressed recogniser, so that it runs on integer kernels.

The weights stay what they are. It is another model all the same: it gets its own error rate, and a
verdict against the one that it was made of.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import chain
from pathlib import Path

from rich.console import Console

from sottovoce.artifact.attention import rounded_attentions
from sottovoce.artifact.packed_layers import PackedLayer
from sottovoce.artifact.packed_model import packed_layers
from sottovoce.artifact.writer import rewrite_artifact
from sottovoce.errors import InputError
from sottovoce.exporters.whole_numbers import int8_obstacle
from sottovoce.files import read_json, refuse_taken, write_text
from sottovoce.models.checkpoint import is_artifact, load, refuse_export
from sottovoce.models.recogniser import Recogniser, best_device
from sottovoce.pipelines.delivery import (
    baselines_of,
    documented,
    measured,
    measured_on,
    probe,
    read_back,
)
from sottovoce.pipelines.float_inputs import notes_on_float_inputs
from sottovoce.pipelines.measured import scored
from sottovoce.pipelines.prepared import calibrated_inputs
from sottovoce.posttraining.attention import round_attention
from sottovoce.posttraining.calibration import CalibrationSpeech
from sottovoce.posttraining.layers import RoundedInputs
from sottovoce.posttraining.observing import input_histograms
from sottovoce.posttraining.sweep import harmless, words_changed
from sottovoce.quantizers.activations import RULES, Range
from sottovoce.report.record import RunRecord
from sottovoce.runtime.recognition import recognise
from sottovoce.scoring import Transcripts
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus, SpeechPath
from sottovoce.training.run import Run

_RULE = "mse"
_TRIALS = "trials.json"


def calibrate(
    source: str | Path,
    calibration: SpeechPath,
    out: str | Path,
    *,
    rule: str = _RULE,
    evaluate_on: SpeechPath | None = None,
    float_attention: bool = False,
    baseline: str | Path | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> RunRecord:
    """Give packed layers and attention's products fixed ranges of 8 bits, where that does no harm.

    Example:
        ```python
        sottovoce.calibrate("small", "train.jsonl", "small-int8", evaluate_on="dev.jsonl")
        ```

    Args:
        source: a compressed folder.
        calibration: a corpus; audio is enough if `evaluate_on` is given.
        out: folder to write; it must not exist.
        rule: of the ranges, one of `RULES`.
        evaluate_on: a corpus; None measures on the calibration speech, and says so.
        float_attention: whether attention's products keep floating point.
        baseline: another recogniser to test the result against.
        resume: go on with an interrupted run (as all of these, a flag of the command).

    Returns:
        What `metrics.json` holds.

    Raises:
        InputError: something given cannot be used; nothing has been written then.
    """
    console, out, started = console or Console(stderr=True), Path(out), time.monotonic()
    _refuse(source, out, rule)
    recogniser = load(source).to(best_device())
    speech = read_corpus(calibration, transcribed=evaluate_on is None)
    evaluation = speech if evaluate_on is None else read_corpus(evaluate_on)
    inputs = calibrated_inputs(recogniser, speech, evaluation)
    dials: dict[str, object] = {"rule": rule, "float_attention": float_attention}
    with Run.open(out, inputs, dials, resume=resume, console=console) as run:
        name = f"input: {Path(source).name}"
        before = scored(recogniser, evaluation, name, console)
        baselines = [
            measured(name, source, recogniser, before),
            *baselines_of(baseline, evaluation, before.reference, console),
        ]
        _round_inputs(recogniser, speech, rule, run.path / _TRIALS, console)
        found = _written(run, recogniser, None if float_attention else speech, console)
        record = documented(
            run,
            found,
            baselines,
            evaluation,
            console,
            source=str(source),
            begun=started,
            recipe={**dials, "calibration": speech.name},
            notes=(*measured_on(speech, evaluation), *notes_on_float_inputs(found)),
        )
        run.publish()
    return record


def _written(
    run: Run, recogniser: Recogniser, speech: Corpus | None, console: Console
) -> Recogniser:
    """The recogniser, written into the run's folder and read back.

    Args:
        speech: on which attention's products are rounded first; None leaves them.
    """
    if speech is not None:
        round_attention(recogniser, CalibrationSpeech(recogniser, speech), speech, console)
    shutil.rmtree(run.finished, ignore_errors=True)
    expected = probe(lambda: nullcontext(recogniser))
    rewrite_artifact(run.finished, recogniser.model, recogniser.processor)
    return read_back(run.finished, recogniser.device, expected)


def _refuse(source: str | Path, out: Path, rule: str) -> None:
    refuse_export(source)
    if not is_artifact(source):
        raise InputError(f"{source} is not compressed; `sottovoce quantize` takes full precision")
    refuse_taken(out)
    if rule not in RULES:
        raise InputError(f"rule is {rule!r}; it must be one of {', '.join(RULES)}")


def _round_inputs(
    recogniser: Recogniser, speech: Corpus, rule: str, kept: Path, console: Console
) -> None:
    """Args:
    kept: file of what was tried so far.
    """
    layers = packed_layers(recogniser.model)
    for name, span in _ranges(recogniser, speech, rule, kept, console).items():
        recogniser.model.set_submodule(name, layers[name].with_inputs(span))


def _ranges(
    recogniser: Recogniser, speech: Corpus, rule: str, kept: Path, console: Console
) -> dict[str, Range]:
    """The range of each layer's inputs, layers that keep floating point left out."""
    layers = packed_layers(recogniser.model)
    has_inputs = any(layer.precision.input_bits for layer in layers.values())
    if has_inputs or rounded_attentions(recogniser.model):
        raise InputError("the model has 8-bit inputs already")
    fitting = {
        name: layer
        for name, layer in layers.items()
        if not int8_obstacle(layer.precision, layer.matrix_shape)
    }
    histograms = input_histograms(recogniser, fitting, CalibrationSpeech(recogniser, speech))
    spans = {name: RULES[rule](histogram) for name, histogram in histograms.items()}

    def heard(by: Mapping[str, Range]) -> Transcripts:
        with _rounding(layers, by):
            return recognise(recogniser, speech).transcripts

    full = heard({})
    known: dict[str, float] = read_json(kept) if kept.exists() else {}

    def change(trials: Sequence[tuple[str, ...]]) -> float:
        names = tuple(chain(*trials))
        key = " ".join(names)
        if key not in known:
            known[key] = words_changed(full, heard({name: spans[name] for name in names}))
            write_text(kept, json.dumps(known))
        return known[key]

    trials = _trials(recogniser, tuple(spans))
    rounded = harmless(trials, change, "inputs, one at a time", console)
    return {name: spans[name] for name in chain(*rounded)}


def _trials(recogniser: Recogniser, names: Sequence[str]) -> list[tuple[str, ...]]:
    """What is tried together: each layer outside the encoder alone, and each encoder layer whole,
    which seldom suffers."""
    depths = {one.name: one.depth for one in recogniser.family.encoder_matrices(recogniser.model)}
    groups: dict[object, list[str]] = {}
    for name in names:
        groups.setdefault(depths.get(name, name), []).append(name)
    return [tuple(group) for group in groups.values()]


@contextmanager
def _rounding(layers: Mapping[str, PackedLayer], spans: Mapping[str, Range]) -> Iterator[None]:
    """Inside, what goes into these layers takes 8 bits."""
    with ExitStack() as stack:
        for name, span in spans.items():
            hook: Callable[..., object] = RoundedInputs(span, layers[name].codes.device)
            stack.callback(layers[name].register_forward_pre_hook(hook).remove)
        yield
