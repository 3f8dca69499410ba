"""A compression from end to end: prepare, learn plan and weights, pack and verify, report."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console

from sottovoce.artifact.packed_layers import bias_of, empty_packed
from sottovoce.artifact.packed_model import planned_layers
from sottovoce.commands.delivery import (
    evaluate_and_report,
    measured_baselines,
    pack_and_verify,
    probe_logits,
)
from sottovoce.commands.prepared import Prepared
from sottovoce.commands.scored_systems import ScoredSystem, print_warnings
from sottovoce.commands.stages import Context, Stages
from sottovoce.commands.two_stage import sensitive_plan
from sottovoce.config.decoding import Decoding
from sottovoce.config.recipe import Recipe
from sottovoce.errors import InputError
from sottovoce.models.recogniser import Recogniser
from sottovoce.quantization.plan import Plan
from sottovoce.record import RunRecord, TrainingPoint
from sottovoce.scoring.foresight import empty_output_warnings
from sottovoce.search.joint import JointObjective
from sottovoce.search.second_pass import second_pass
from sottovoce.speech.corpus import Corpus, SpeechPath
from sottovoce.speech.overlap import overlap_warnings
from sottovoce.training.accelerator import accelerator_for
from sottovoce.training.distributed import is_main_process
from sottovoce.training.loop import update_count
from sottovoce.training.run import Run
from sottovoce.training.teacher import CachedTeacher
from sottovoce.training.timing import Spent
from sottovoce.version import __version__


def compress(
    source: str | Path,
    train_on: SpeechPath,
    evaluate_on: SpeechPath | Corpus,
    out: str | Path,
    recipe: Recipe | None = None,
    *,
    baseline: str | Path | None = None,
    plan: Plan | None = None,
    cache: str | Path | None = None,
    decoding: Decoding | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> RunRecord:
    """Compress a recogniser: joint mixed-precision learning (xu2025, Pass 1 and Pass 2).

    A recipe with one candidate makes it uniform quantization, one with another `plan_by` xu2025's
    two-stage baseline.

    Example:
        ```python
        recipe = sottovoce.Recipe(steps=2, bits=3.5)
        record = sottovoce.compress("start", "train.jsonl", "dev.jsonl", "smaller", recipe)
        print(record.systems[-1].bytes, [one.verdict for one in record.comparisons])
        ```

    The parameters are the command's.

    Args:
        source: hub id or folder of a full-precision checkpoint with its head.
        train_on, evaluate_on: corpora, in any form that `read_corpus` reads; the second may be one
            that was read.
        out: until all is done, work is kept in `out` + ".unfinished".
        plan: train this plan instead of learning one.
        cache: folder that keeps what later runs from the same start point on the same speech can
            share: a cached teacher's outputs, Pass 1, uniform models. None shares nothing.
        decoding: how an attention decoder writes; None is as the checkpoint says.

    Raises:
        InputError: something given cannot be used; nothing has been written then.
    """
    recipe, out, started = recipe or Recipe(), Path(out), time.monotonic()
    if recipe.bits is None and recipe.eta is None:
        raise InputError(
            "the recipe has no size: give bits (a target) or eta (xu2025's size weight)"
        )
    console = console or Console(stderr=True)
    start = Prepared.read(
        source, train_on, evaluate_on, console, unlabelled=recipe.unlabelled, decoding=decoding
    )
    recipe = start.resolved(recipe)
    with Run.open(
        out, start.inputs, settings_of(recipe, plan), resume=resume, console=console
    ) as run:
        baselines = measured_baselines(start.recogniser, start.evaluation, baseline, console)
        stages = stages_of(run, start, cache)
        preparing = time.monotonic() - started
        return compress_prepared(run, start, recipe, stages, baselines, plan, preparing)


def settings_of(recipe: Recipe, plan: Plan | None) -> dict[str, object]:
    """What determines a compression beside its inputs."""
    return {"plan": plan.to_json() if plan else None, "recipe": recipe.to_record()}


def stages_of(run: Run, start: Prepared, cache: str | Path | None) -> Stages:
    """Where the stages of a run are kept; the audio is read where others may share them."""
    return Stages(
        {"version of sottovoce": __version__, **start.inputs},
        start.speech.corpus.audio_fingerprint if cache is not None else "",
        Path(cache) if cache is not None else None,
        run.work,
    )


def compress_prepared(
    run: Run,
    start: Prepared,
    recipe: Recipe,
    stages: Stages,
    baselines: Sequence[ScoredSystem],
    plan: Plan | None = None,
    preparing: float = 0.0,
) -> RunRecord:
    """Compress what is prepared, into the run's folder.

    It has seven parameters since the autopilot compresses one start at many sizes, and reads,
    scores and shares once.

    Args:
        start: is copied to train, and serves again.
        baselines: what the result is compared with, the input checkpoint first.
        plan: as in `compress`.
        preparing: seconds that were spent before, for the record.
    """
    prepared = time.monotonic()
    console = start.console
    notes = (
        *overlap_warnings(start.speech.corpus, start.evaluation),
        *empty_output_warnings(baselines[0].score, start.source, start.evaluation.name),
    )
    print_warnings(notes, console)
    context = _context(start, recipe, stages, searching=plan is None)
    preparing += time.monotonic() - prepared
    trained = _trained(run, start, recipe, context, plan)
    if is_main_process():
        packed = _packed(trained.objective, run.finished)
        evaluate_and_report(
            run,
            packed,
            baselines,
            start.evaluation,
            console,
            source=str(start.source),
            # the history counts what was trained before an interruption too
            begun=time.monotonic() - trained.spent.seconds - preparing,
            training_seconds=trained.spent.seconds,
            training_cpu_seconds=trained.spent.cpu_seconds,
            recipe=recipe.to_record(),
            history=trained.history,
            expected_bits=trained.expected_bits,
            notes=notes,
        )
    run.publish()
    return RunRecord.of(run.out)


def _context(start: Prepared, recipe: Recipe, stages: Stages, *, searching: bool) -> Context:
    """What the stages are given; what a cached teacher makes of the speech that training hears is
    computed now."""
    updates, speech, teacher = update_count(start.speech, recipe), start.speech, None
    accelerator = accelerator_for(recipe)
    start.recogniser.to(accelerator.device)
    writes = speech.awaits_targets
    taught = recipe.taught(updates, searching=searching) if recipe.teacher == "cached" else 0
    if taught or writes:
        heard = speech.heard(recipe, updates if writes else taught)
        teacher = CachedTeacher.computed(
            start.recogniser,
            speech,
            recipe.seconds_per_batch,
            stages.teacher,
            start.console,
            heard,
        )
        if writes:
            speech = speech.taught(teacher.written(heard, start.console))
    return Context(speech, start.evaluation, accelerator, teacher, stages, start.console)


@dataclass(frozen=True)
class _Trained:
    """The plan's network at the end of training, and what led there.

    Attributes:
        expected_bits: of each layer under the distribution that was learnt, None without one.
        spent: on all stages, interruptions excluded.
    """

    objective: JointObjective
    history: tuple[TrainingPoint, ...]
    expected_bits: Mapping[str, float] | None
    spent: Spent


def _trained(
    run: Run, start: Prepared, recipe: Recipe, context: Context, plan: Plan | None
) -> _Trained:
    """All stages: a plan by sensitivity where the recipe wants one, Pass 1, Pass 2."""
    first_stage = Spent()
    with run.forgotten_while_empty("teacher"):
        if plan is None and recipe.plan_by != "joint":
            plan, first_stage = sensitive_plan(start.recogniser, recipe, context)
        trained = start.recogniser.copy()
        start.recogniser.model.to("cpu")  # it waits there
        objective = JointObjective(trained, recipe, context.accelerator, context.teacher, plan)
    history = context.train(objective, recipe, context.stages.pass_1(recipe, plan))
    expected_bits = objective.expected_bits()
    if recipe.finetune != "none":
        start.console.print("Pass 2")
        begin = start.recogniser.copy() if recipe.finetune == "start" else None
        first, objective = objective, second_pass(objective, begin)
        if begin is not None:
            first.recogniser.model.to("cpu")  # it has served
        second = context.train(objective, objective.recipe, run.work.part("pass 2"))
        history += tuple(_later(point, history[-1]) for point in second)
    return _Trained(objective, history, expected_bits, first_stage + Spent.of(history[-1]))


def _later(point: TrainingPoint, last: TrainingPoint) -> TrainingPoint:
    """A point of Pass 2, counted on from the last one of Pass 1."""
    spent = Spent.of(last) + Spent.of(point)
    return replace(point, step=last.step + point.step, **asdict(spent))


def _packed(objective: JointObjective, folder: Path) -> Recogniser:
    """What was trained, packed and read back."""
    expected = probe_logits(objective.deployed)
    plan, recogniser = objective.whole_plan(), objective.recogniser
    affines = {name: objective.affine_of(name) for name in plan}
    objective.dismantle()
    layers = {
        name: empty_packed(layer, plan[name]).store(layer.weight, affines[name], bias_of(layer))
        for name, layer in planned_layers(recogniser.model, plan).items()
    }
    return pack_and_verify(folder, recogniser, layers, plan, expected)
