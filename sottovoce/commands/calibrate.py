"""8-bit inputs for a compressed recogniser, so that it runs on integer kernels.

The weights stay what they are. It is another model all the same: it gets its own error rate, and a
verdict against the one that it was made of.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from rich.console import Console

from sottovoce.artifact.attention import quantized_attentions
from sottovoce.artifact.packed_layers import PackedLayer
from sottovoce.artifact.packed_model import packed_layers
from sottovoce.artifact.writer import rewrite_artifact
from sottovoce.commands.delivery import (
    evaluate_and_report,
    probe_logits,
    reload_and_verify,
    score_baselines,
    scored_system,
)
from sottovoce.commands.float_inputs import float_input_notes
from sottovoce.commands.prepared import Calibrated
from sottovoce.commands.scored_systems import ScoredSystem, evaluate_recogniser, print_warnings
from sottovoce.config.decoding import Decoding
from sottovoce.config.post_training import refuse_minutes
from sottovoce.errors import InputError
from sottovoce.files import read_json, refuse_taken, write_text
from sottovoce.graph.int8_weights import int8_obstacle
from sottovoce.loading import is_artifact, load, refuse_export
from sottovoce.models.recogniser import Recogniser, best_device
from sottovoce.ptq import attention
from sottovoce.ptq.arithmetic import calibration_minutes as default_minutes
from sottovoce.ptq.attention import round_attention
from sottovoce.ptq.calibration import CalibrationSpeech, sample_note, transcripts
from sottovoce.ptq.effort import RANKING_PASSES, Job, replaying
from sottovoce.ptq.layers import QuantizeInputs
from sottovoce.ptq.observing import PASSES_OF_RANGES, input_histograms
from sottovoce.ptq.ranking import budgeted_divergences
from sottovoce.ptq.sweep import Change, changed_word_rate, recognitions, select_harmless
from sottovoce.quantization.activations import RULES, Range
from sottovoce.record import RunRecord
from sottovoce.sensitivity.trials import Trial
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import SpeechPath
from sottovoce.training.run import Run

_RULE = "mse"
_TRIALS = "trials.json"
_INPUTS = "8-bit inputs"


def calibrate(
    source: str | Path,
    calibration: SpeechPath,
    out: str | Path,
    *,
    rule: str = _RULE,
    evaluate_on: SpeechPath | None = None,
    float_attention: bool = False,
    calibration_minutes: float | None = None,
    baseline: str | Path | None = None,
    decoding: Decoding | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> RunRecord:
    """Give packed layers and attention's products fixed ranges of 8 bits, where that does no harm.

    Example:
        ```python
        sottovoce.calibrate("small", "train.jsonl", "small-int8", evaluate_on="dev.jsonl")
        ```

    The parameters are the command's.

    Args:
        source: a compressed folder.
        calibration: a corpus; audio is enough if `evaluate_on` is given.
        rule: of the ranges, one of `RULES`.
        evaluate_on: a corpus; None measures on the calibration speech, and says so.
        calibration_minutes: the most that is used; None goes by the model's size.
        decoding: how an attention decoder writes; None is as the checkpoint says.

    Raises:
        InputError: something given cannot be used; nothing has been written then.
    """
    console, out, begun = console or Console(stderr=True), Path(out), time.monotonic()
    _refuse(source, out, rule)
    refuse_minutes(calibration_minutes)
    recogniser = load(source, decoding).to(best_device())
    minutes = calibration_minutes or default_minutes(recogniser)
    heard = read_corpus(calibration, transcribed=evaluate_on is None)
    evaluation = heard if evaluate_on is None else read_corpus(evaluate_on)
    start = Calibrated(source, recogniser, heard, minutes, evaluation)
    settings: dict[str, object] = {
        "rule": rule,
        "float_attention": float_attention,
        "calibration_minutes": minutes,
    }
    with Run.open(out, start.inputs, settings, resume=resume, console=console) as run:
        baselines = _baselines(start, baseline, console)
        speech = start.speech
        sampled = sample_note(heard, speech.corpus)
        print_warnings(sampled, console)
        packed = _written(run, speech, rule, console, float_attention=float_attention)
        recipe = {**settings, "calibration": heard.name}
        notes = (*start.overlap_notes, *sampled, *float_input_notes(packed))
        facts: dict[str, Any] = {"source": str(source), "recipe": recipe, "notes": notes}
        record = evaluate_and_report(
            run, packed, baselines, evaluation, console, begun=begun, **facts
        )
        run.publish()
    return record


def _baselines(
    start: Calibrated, baseline: str | Path | None, console: Console
) -> list[ScoredSystem]:
    """What the result is compared with: the compressed folder first, then what was asked."""
    recogniser, evaluation = start.recogniser, start.evaluation
    name = f"input: {Path(start.source).name}"
    before = evaluate_recogniser(recogniser, evaluation, name, console)
    return [
        scored_system(name, start.source, recogniser, before),
        *score_baselines(baseline, evaluation, before.reference, console, recogniser.decoding),
    ]


def _written(
    run: Run, chosen: CalibrationSpeech, rule: str, console: Console, *, float_attention: bool
) -> Recogniser:
    """The recogniser with rounded inputs, written into the run's folder and read back."""
    recogniser = chosen.recogniser
    fitting = _fitting_layers(recogniser)
    with Job(console, _phases(chosen, fitting, float_attention=float_attention)) as job:
        _round_inputs(fitting, chosen, rule, run.path / _TRIALS, job)
        if not float_attention:
            round_attention(recogniser, chosen, job)
    shutil.rmtree(run.finished, ignore_errors=True)
    expected = probe_logits(lambda: nullcontext(recogniser))
    rewrite_artifact(run.finished, recogniser.model, recogniser.processor)
    return reload_and_verify(run.finished, recogniser, expected)


def _refuse(source: str | Path, out: Path, rule: str) -> None:
    refuse_export(source)
    if not is_artifact(source):
        raise InputError(f"{source} is not compressed; `sottovoce quantize` takes full precision")
    refuse_taken(out)
    if rule not in RULES:
        raise InputError(f"rule is {rule!r}; it must be one of {', '.join(RULES)}")


def _phases(
    chosen: CalibrationSpeech, fitting: Mapping[str, PackedLayer], *, float_attention: bool
) -> dict[str, float]:
    """What may be computed at most, in seconds of speech."""
    passes = PASSES_OF_RANGES + 1 + recognitions(len(_trials(chosen.recogniser, tuple(fitting))))
    found = {_INPUTS: passes * chosen.seconds + replaying(RANKING_PASSES * chosen.seconds)}
    return found | ({} if float_attention else attention.phases(chosen.recogniser, chosen.seconds))


def _fitting_layers(recogniser: Recogniser) -> dict[str, PackedLayer]:
    """Layers whose weights 8-bit kernels can multiply."""
    layers = packed_layers(recogniser.model)
    has_inputs = any(layer.precision.input_bits for layer in layers.values())
    if has_inputs or quantized_attentions(recogniser.model):
        raise InputError("the model has 8-bit inputs already")
    return {
        name: layer
        for name, layer in layers.items()
        if not int8_obstacle(layer.precision, layer.matrix_shape)
    }


def _round_inputs(
    fitting: Mapping[str, PackedLayer], chosen: CalibrationSpeech, rule: str, kept: Path, job: Job
) -> None:
    """Args:
    kept: file of what was tried so far.
    """
    with job.phase(_INPUTS):
        ranges = _ranges(fitting, chosen, rule, kept, job)
    for name, span in ranges.items():
        chosen.recogniser.model.set_submodule(name, fitting[name].with_inputs(span))


def _ranges(
    fitting: Mapping[str, PackedLayer], chosen: CalibrationSpeech, rule: str, kept: Path, job: Job
) -> dict[str, Range]:
    """The range of each layer's inputs, layers that keep floating point left out."""
    recogniser = chosen.recogniser
    histograms = input_histograms(recogniser, fitting, chosen.counting(job))
    spans = {name: RULES[rule](histogram) for name, histogram in histograms.items()}
    full = transcripts(recogniser, chosen, job)

    def rounding(groups: Sequence[tuple[str, ...]]) -> AbstractContextManager[None]:
        return _rounding(fitting, {name: spans[name] for name in chain(*groups)})

    known: dict[str, list[int]] = read_json(kept) if kept.exists() else {}

    def change(groups: Sequence[tuple[str, ...]]) -> Change:
        key = " ".join(chain(*groups))
        if key not in known:
            with rounding(groups):
                changed = changed_word_rate(full, transcripts(recogniser, chosen, job))
            known[key] = [changed.errors, changed.words]
            write_text(kept, json.dumps(known))
        return Change(*known[key])

    def rank() -> Mapping[tuple[str, ...], float]:
        trials = {group: Trial(group[0], partial(rounding, [group])) for group in groups}
        return budgeted_divergences(recogniser, trials, chosen, RANKING_PASSES, job)

    groups = _trials(recogniser, tuple(spans))
    return {name: spans[name] for name in chain(*select_harmless(groups, change, rank))}


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
            hook: Callable[..., object] = QuantizeInputs(span, layers[name].codes.device)
            stack.callback(layers[name].register_forward_pre_hook(hook).remove)
        yield
