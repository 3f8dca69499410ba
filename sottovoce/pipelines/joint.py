"""A compression from end to end: learn plan and weights, pack, verify, measure, report."""

import os
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from sottovoce.artifact.packed_layers import empty_packed
from sottovoce.artifact.packed_model import planned_layers
from sottovoce.errors import InputError
from sottovoce.models.checkpoint import load_checkpoint
from sottovoce.models.recogniser import Recogniser
from sottovoce.pipelines.delivery import (
    baseline_of,
    delivered,
    documented,
    probe,
)
from sottovoce.pipelines.measured import (
    Measured,
    float_system,
    scored,
    warn,
)
from sottovoce.pipelines.stages import Stages
from sottovoce.pipelines.two_stage import sensitive_plan
from sottovoce.plan import Plan
from sottovoce.recipe import Recipe
from sottovoce.report.record import RunRecord, TrainingPoint
from sottovoce.scoring.foresight import nothing_told
from sottovoce.search.joint import JointObjective
from sottovoce.search.second_pass import second_pass
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.overlap import overlap_told
from sottovoce.training.accelerator import accelerator_for
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.loop import train, updates
from sottovoce.training.processes import leads, meet
from sottovoce.training.spent import Spent
from sottovoce.training.state import WorkFolder
from sottovoce.training.teacher import CachedTeacher
from sottovoce.version import __version__


def compress(
    source: str | Path,
    train_on: str | Path,
    evaluate_on: str | Path | Corpus,
    out: str | Path,
    recipe: Recipe | None = None,
    *,
    baseline: str | Path | None = None,
    plan: Plan | None = None,
    cache: str | Path | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> RunRecord:
    """Compress a CTC recogniser: joint mixed-precision learning (P1, Pass 1 and Pass 2).

    A recipe with one candidate makes it uniform quantization, one with another `plan_by` P1's
    two-stage baseline.

    Example:
        ```python
        recipe = sottovoce.Recipe(steps=2, bits=3.5)
        record = sottovoce.compress("start", "train.jsonl", "dev.jsonl", "smaller", recipe)
        print(record.systems[-1].bytes, [one.verdict for one in record.comparisons])
        ```

    Args:
        source: hub id or folder of a full-precision checkpoint with a CTC head.
        train_on, evaluate_on: corpora, in any form that `read_corpus` reads; the second may be one
            that was read.
        out: folder to write; it must not exist. Until all is done, work is kept in
            `out` + ".unfinished".
        recipe: all dials; the default recipe where none is given.
        baseline: another recogniser to test the result against, such as U1.
        plan: train this plan instead of learning one.
        cache: folder that keeps what later runs from the same start point on the same speech can
            share: a cached teacher's outputs, Pass 1, uniform models. None shares nothing.
        resume: go on with an interrupted run.
        console: where progress is shown; None shows it on standard error.

    Returns:
        What `metrics.json` holds.

    Raises:
        InputError: something given cannot be used; nothing has been written then.
    """
    recipe, out = recipe or Recipe(), Path(out)
    if recipe.bits is None and recipe.eta is None:
        raise InputError("the recipe has no size: give bits (a target) or eta (P1's size weight)")
    console = console or Console(stderr=True)
    started = time.monotonic()

    recogniser = load_checkpoint(source)
    evaluation = evaluate_on if isinstance(evaluate_on, Corpus) else read_corpus(evaluate_on)
    transcribed = not recipe.unlabelled
    speech = TrainingSpeech(
        read_corpus(train_on, transcribed=transcribed), recogniser, transcribed=transcribed
    )
    stages = Stages(
        {
            "version of sottovoce": __version__,
            "model": recogniser.fingerprint(),
            "training speech": speech.corpus.fingerprint,
            "evaluation speech": evaluation.fingerprint,
        },
        speech.corpus.audio_fingerprint if cache is not None else "",
        Path(cache) if cache is not None else None,
    )
    settings = {"plan": plan.to_json() if plan else None, "recipe": recipe.to_record()}
    work = WorkFolder.open(out, {**stages.inputs, **settings}, resume)
    accelerator = accelerator_for(recipe)
    recogniser.model.to(accelerator.device)

    with work.forgotten_while_empty():
        before = scored(recogniser, evaluation, "input checkpoint", console)
        baselines = [Measured(float_system("input checkpoint", recogniser, before), before)]
        console.print(f"input checkpoint: WER {100 * before.wer:.2f}%")
        if baseline is not None:
            baselines.append(baseline_of(baseline, evaluation, before.reference, console))
        notes = (
            *overlap_told(speech.corpus, evaluation),
            *nothing_told(before, source, evaluation.name),
        )
        warn(notes, console)

    taught = recipe.taught(updates(speech, recipe), searching=plan is None)
    kept = (stages.cache or work.path) / "teacher"
    teacher = _teacher(recogniser, recipe, speech, taught, kept, console)

    def dev_wer(present: Recogniser) -> float:
        return scored(present, evaluation, "evaluating", console).wer

    prepared, first_stage = time.monotonic(), Spent()
    with work.forgotten_while_empty("teacher"):
        if plan is None and recipe.plan_by != "joint":
            plan, first_stage = sensitive_plan(
                *(recogniser, recipe, speech, work, stages, accelerator, teacher, dev_wer, console)
            )
        objective = JointObjective(recogniser, recipe, accelerator, teacher, plan)
    first = stages.pass_1(work, recipe, plan)
    history = train(objective, speech, recipe, first, dev_wer, console)
    expected_bits = objective.expected_bits()
    if recipe.finetune != "none":
        console.print("Pass 2")
        objective = _pass_2(objective, source, stages.inputs["model"])
        second = train(objective, speech, objective.recipe, work.part("pass 2"), dev_wer, console)
        history += tuple(_later(point, history[-1]) for point in second)
    training = first_stage + Spent.of(history[-1])
    # the history counts what was trained before an interruption too
    begun = time.monotonic() - training.seconds - (prepared - started)

    if leads():
        finished = work.path / "finished"
        packed = _packed(objective, finished)
        documented(
            *(packed, finished, out.name, baselines, evaluation, console),
            source=str(source),
            begun=begun,
            training_seconds=training.seconds,
            training_cpu_seconds=training.cpu_seconds,
            recipe=recipe.to_record(),
            history=history,
            expected_bits=expected_bits,
            notes=notes,
        )
        os.replace(finished, out)
        shutil.rmtree(work.path)
    meet()
    return RunRecord.of(out)


def _teacher(
    start: Recogniser,
    recipe: Recipe,
    speech: TrainingSpeech,
    taught: int,
    folder: Path,
    console: Console,
) -> CachedTeacher | None:
    """The start point's outputs for what the first `taught` updates hear; None if not cached."""
    if recipe.teacher != "cached" or not taught:
        return None
    heard = speech.heard(recipe, taught)
    seconds = recipe.seconds_per_batch
    return CachedTeacher.computed(start, speech, seconds, folder, console, heard)


def _pass_2(first: JointObjective, source: str | Path, fingerprint: str) -> JointObjective:
    if first.recipe.finetune == "learnt":
        return second_pass(first, None)
    start = load_checkpoint(source)
    if start.fingerprint() != fingerprint:
        raise InputError(f"{source} is another model than when the run began; put that one back")
    second = second_pass(first, start)
    first.recogniser.model.to("cpu")  # it has served
    return second


def _later(point: TrainingPoint, last: TrainingPoint) -> TrainingPoint:
    """A point of Pass 2, counted on from the last one of Pass 1."""
    spent = Spent.of(last) + Spent.of(point)
    return replace(point, step=last.step + point.step, **asdict(spent))


def _packed(objective: JointObjective, folder: Path) -> Recogniser:
    """What was trained, packed and read back."""
    expected = probe(objective.deployed)
    plan, recogniser = objective.whole_plan(), objective.recogniser
    affines = {name: objective.affine_of(name) for name in plan}
    objective.dismantle()
    layers = {
        name: empty_packed(layer, plan[name]).store(layer.weight, affines[name], layer.bias)
        for name, layer in planned_layers(recogniser.model, plan).items()
    }
    return delivered(folder, recogniser, layers, plan, expected)
