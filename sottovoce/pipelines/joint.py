"""A compression from end to end: learn plan and weights, pack, verify, measure, report."""

import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from sottovoce.artifact.packed_layers import empty_packed
from sottovoce.artifact.packed_model import plan_of, planned_layers
from sottovoce.artifact.writer import write_artifact
from sottovoce.errors import InputError
from sottovoce.files import write_text
from sottovoce.models.checkpoint import is_artifact, load, load_checkpoint
from sottovoce.models.recogniser import Recogniser, best_device
from sottovoce.pipelines.measured import (
    Measured,
    cnn_rows,
    comparison,
    described,
    float_system,
    got_worse,
    layer_rows,
    packed_system,
    scored,
)
from sottovoce.pipelines.stages import Stages
from sottovoce.pipelines.two_stage import sensitive_plan
from sottovoce.plan import Plan
from sottovoce.recipe import Recipe
from sottovoce.report.card import write_card
from sottovoce.report.html import write_report
from sottovoce.report.record import RunRecord, TrainingPoint
from sottovoce.runtime.recognition import references
from sottovoce.scoring import Score, Transcripts
from sottovoce.search.joint import JointObjective
from sottovoce.search.second_pass import second_pass
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus
from sottovoce.training.accelerator import accelerator_for
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.loop import train
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
            "source": str(source),
            "set of weights": recogniser.fingerprint(),
            "training speech": speech.corpus.fingerprint,
            "evaluation speech": evaluation.fingerprint,
        },
        Path(cache) if cache is not None else None,
    )
    settings = {"plan": plan.to_json() if plan else None, "recipe": recipe.to_record()}
    work = WorkFolder.open(out, {**stages.inputs, **settings}, resume)
    accelerator = accelerator_for(recipe)
    recogniser.model.to(accelerator.device)

    with _nothing_left_before_training(work):
        before = scored(recogniser, evaluation, "input checkpoint", console)
        baselines = [Measured(float_system("input checkpoint", recogniser, before), before)]
        console.print(f"input checkpoint: WER {100 * before.wer:.2f}%")
        if baseline is not None:
            baselines.append(baseline_of(baseline, evaluation, before.reference, console))

    needed = recipe.teacher == "cached" and recipe.teaches(searching=plan is None)
    kept = (stages.cache or work.path) / "teacher"
    seconds = recipe.seconds_per_batch
    teacher = CachedTeacher.computed(recogniser, speech, seconds, kept, console) if needed else None

    def dev_wer(present: Recogniser) -> float:
        return scored(present, evaluation, "evaluating", console).wer

    prepared, first_stage = time.monotonic(), 0.0
    if plan is None and recipe.plan_by != "joint":
        plan, first_stage = sensitive_plan(
            *(recogniser, recipe, speech, work, stages, accelerator, teacher, dev_wer, console)
        )
    shapes = recogniser.family.shapes(recogniser.model)
    objective = JointObjective(recogniser, recipe, accelerator, teacher, plan)
    first = stages.pass_1(work, recipe, plan)
    history = train(objective, speech, recipe, first, dev_wer, console)
    learnt, expected_bits = objective.hard_plan(), objective.expected_bits()
    if recipe.finetune != "none":
        console.print("Pass 2")
        objective = _pass_2(objective, source, stages.inputs["set of weights"])
        second = train(objective, speech, objective.recipe, work.part("pass 2"), dev_wer, console)
        history += tuple(_later(point, history[-1]) for point in second)
    trained, training_seconds = time.monotonic(), first_stage + history[-1].seconds

    finished = work.path / "finished"
    packed = _packed(objective, finished)
    after = scored(packed, evaluation, "compressed", console)
    record = RunRecord(
        version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=_command(),
        source=str(source),
        evaluated_on=evaluation.name,
        device=_device_name(accelerator.device),
        # the history counts what was trained before an interruption too
        seconds=prepared - started + training_seconds + time.monotonic() - trained,
        training_seconds=training_seconds,
        recipe=recipe.to_record(),
        systems=(
            *(one.system for one in baselines),
            packed_system("compressed", finished, learnt, shapes, after),
        ),
        comparisons=tuple(comparison(one, after) for one in baselines),
        layers=layer_rows(packed, learnt, shapes, expected_bits),
        cnns=cnn_rows(packed, plan_of(packed.model)),
        history=history,
        got_worse=got_worse(before, after),
    )
    write_papers(finished, record, recipe, after, out.name)
    os.replace(finished, out)
    shutil.rmtree(work.path)
    return record


@contextmanager
def _nothing_left_before_training(work: WorkFolder) -> Iterator[None]:
    """Where this fails or is interrupted, a work folder with nothing computed goes away again."""
    try:
        yield
    except BaseException:
        if [path.name for path in work.path.iterdir()] == ["settings.json"]:
            shutil.rmtree(work.path)
        raise


def baseline_of(
    model: str | Path, evaluation: Corpus, reference: Transcripts, console: Console
) -> Measured:
    """A recogniser that the compressed one is compared with. Raises InputError where it writes in
    other characters than the reference."""
    name, recogniser = described(model), load(model).to(best_device())
    if references(recogniser, evaluation).utterances != reference.utterances:
        raise InputError(f"{name} writes in other characters or case: no fair baseline")
    own = scored(recogniser, evaluation, name, console)
    console.out(f"{name}: WER {100 * own.wer:.2f}%")
    if is_artifact(model):
        shapes = recogniser.family.shapes(recogniser.model)
        plan = plan_of(recogniser.model)
        return Measured(packed_system(name, Path(model), plan, shapes, own), own)
    return Measured(float_system(name, recogniser, own), own)


def _pass_2(first: JointObjective, source: str | Path, weights: str) -> JointObjective:
    if first.recipe.finetune == "learnt":
        return second_pass(first, None)
    start = load_checkpoint(source)
    if start.fingerprint() != weights:
        raise InputError(f"{source} has other weights than when the run began; put them back")
    second = second_pass(first, start)
    first.recogniser.model.to("cpu")  # it has served
    return second


def _later(point: TrainingPoint, last: TrainingPoint) -> TrainingPoint:
    """A point of Pass 2, counted on from the last one of Pass 1."""
    return replace(point, step=last.step + point.step, seconds=last.seconds + point.seconds)


def _probe(deployed: Callable[[], AbstractContextManager[Recogniser]]) -> torch.Tensor:
    """Logits of a second of noise."""
    with torch.inference_mode(), deployed() as recogniser:
        noise = np.random.default_rng(0).standard_normal(recogniser.sampling_rate)
        return recogniser.logits(recogniser.features([noise.astype(np.float32)]))


def _packed(objective: JointObjective, folder: Path) -> Recogniser:
    """What was trained, packed and read back: it computes the very same logits."""
    shutil.rmtree(folder, ignore_errors=True)
    expected = _probe(objective.deployed)
    plan, recogniser = objective.whole_plan(), objective.recogniser
    scales = {name: objective.scale_of(name) for name in plan}
    objective.dismantle()
    packed = {
        name: empty_packed(layer, plan[name]).store(layer.weight, scales[name], layer.bias)
        for name, layer in planned_layers(recogniser.model, plan).items()
    }
    write_artifact(folder, recogniser.model, recogniser.processor, packed, plan)
    found = load(folder).to(recogniser.device)
    if not torch.equal(expected, _probe(lambda: nullcontext(found))):
        raise InputError(f"{folder} computes other logits than were trained; please report this")
    return found


def write_papers(folder: Path, record: RunRecord, recipe: Recipe, score: Score, name: str) -> None:
    """Everything for people beside a packed model: metrics, recipe, transcripts, report, card."""
    metrics = json.dumps(record.to_json(), indent=1, ensure_ascii=False)
    write_text(folder / "metrics.json", metrics)
    write_text(folder / "recipe.toml", recipe.to_toml())
    score.reference.write_trn(folder / "reference.trn")
    score.hypothesis.write_trn(folder / "compressed.trn")
    write_report(record, folder / "report.html")
    write_card(record, folder / "README.md", name)


def _command() -> str:
    """The command line, where the program was run; else the function's name."""
    program, *words = sys.argv
    return shlex.join(["sottovoce", *words]) if Path(program).name == "sottovoce" else __name__


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"
