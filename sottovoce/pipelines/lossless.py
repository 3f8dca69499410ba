"""The autopilot: the smallest model that is not significantly worse.

The sizes of a `ladder` are searched by bisection, a whole compression from the same start point at
each that is tried. It is decided on one part of the evaluation speech; the verdict is given on the
other, which can only send the search back to a larger size.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from sottovoce.errors import InputError
from sottovoce.models.checkpoint import load, load_checkpoint
from sottovoce.models.recogniser import Recogniser, best_device
from sottovoce.pipelines.delivery import measured, write_papers
from sottovoce.pipelines.joint import compress
from sottovoce.pipelines.measured import (
    Measured,
    comparison,
    described,
    got_worse,
    rates_of,
    scored,
    warn,
)
from sottovoce.recipe import Recipe
from sottovoce.report.record import RunRecord, SizeTried
from sottovoce.report.verdict import headline
from sottovoce.runtime.recognition import references
from sottovoce.scoring import POWER, Score, Transcripts, matched_pairs, score
from sottovoce.scoring.foresight import nothing_told, too_few_told
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.overlap import refuse_overlap
from sottovoce.speech.splitting import halves
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.processes import joined, leads, meet
from sottovoce.training.state import WorkFolder, unfinished
from sottovoce.version import __version__

_SIZES = (1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0)
"""Bits; nearer to one another where a step is a larger share of the size."""


@dataclass(frozen=True)
class Question:
    """What "lossless" is to mean.

    Attributes:
        alpha: level of significance, two-sided.
        detectable: relative loss that the test must have been able to find.
    """

    alpha: float = 0.05
    detectable: float = 0.10

    def __post_init__(self) -> None:
        for name in ("alpha", "detectable"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")


@dataclass(frozen=True)
class _Held:
    """A recogniser that every size is held against."""

    name: str
    model: str | Path
    recogniser: Recogniser


def compress_lossless(
    source: str | Path,
    train_on: str | Path,
    evaluate_on: str | Path,
    out: str | Path,
    recipe: Recipe | None = None,
    question: Question | None = None,
    *,
    baseline: str | Path | None = None,
    cache: str | Path | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> RunRecord:
    """Find the smallest size at which no loss is shown, and deliver that model.

    A size passes where the model is not significantly worse than the input checkpoint, nor than
    `baseline`, and the loss that was seen is at most half of the one asked about. Where the other
    part of the speech then calls the model worse, the next larger size that passes is taken; that
    part has then had a say, so with every look its risk of missing a loss is halved.

    Example:
        ```python
        recipe = sottovoce.Recipe(steps=2)
        sottovoce.compress_lossless("start", "train.jsonl", "dev.jsonl", "smallest", recipe)
        ```

    Args:
        evaluate_on: a corpus of at least 20 utterances; it shares none with `train_on`.
        recipe: its size (`bits`, `eta`) is not used, and may be None.
        baseline: another recogniser to hold the sizes against, such as U1.
        cache: as in `compress`; None shares among the sizes alone.
        resume: go on with an interrupted search, or ask another question of what it trained; sizes
            that are finished are not trained again.

    Returns:
        What `metrics.json` holds; `tried` is the way to the size.

    Raises:
        InputError: something given cannot be used, the start point recognises nothing, or no size
            passes.
    """
    recipe = (recipe or Recipe()).replaced({"bits": None, "eta": None})
    question, out = question or Question(), Path(out)
    console, rungs = console or Console(stderr=True), ladder(recipe.widths)
    start, evaluation = load_checkpoint(source).to(joined().device), read_corpus(evaluate_on)
    training = read_corpus(train_on, transcribed=not recipe.unlabelled)
    refuse_overlap(training, evaluation)
    decide_on, judge_on = halves(evaluation)
    TrainingSpeech(training, start, transcribed=not recipe.unlabelled)
    held = [_Held("input checkpoint", source, start)]
    if baseline is not None:
        held.append(_Held(described(baseline), baseline, load(baseline).to(best_device())))
    wanted = references(start, evaluation).utterances
    if any(references(one.recogniser, evaluation).utterances != wanted for one in held):
        raise InputError(f"{baseline} writes in other characters or case: no fair baseline")
    settings = {
        "version of sottovoce": __version__,
        "model": start.fingerprint(),
        "training speech": training.fingerprint,
        "evaluation speech": evaluation.fingerprint,
        "recipe": recipe.to_record(),
    }
    work = WorkFolder.open(out, settings, resume)
    with work.forgotten_while_empty():
        before = [scored(one.recogniser, decide_on, one.name, console) for one in held]
        for told in nothing_told(before[0], source, decide_on.name):
            raise InputError(told)
        beside = [
            measured(
                *(one.name, one.model, one.recogniser),
                scored(one.recogniser, judge_on, one.name, console),
            )
            for one in held
        ]
        on_too_few = (beside[0].score, judge_on.name, question.alpha, question.detectable)
        warn(too_few_told(*on_too_few), console)

    def tried(bits: float) -> SizeTried:
        folder = _folder(work, bits)
        if not folder.exists():
            console.rule(f"{bits:g} bits")
            compress(
                source,
                train_on,
                decide_on,
                folder,
                recipe.replaced({"bits": bits}),
                cache=cache or work.path / "shared",
                resume=unfinished(folder).exists(),
                console=console,
            )
        found = _decided(folder, before, bits, question)
        console.out(found.sentence)
        return found

    walked = bisected(rungs, tried)
    passed = [one.bits for one in walked if one.passed]
    if not passed:
        raise InputError(
            f"no size passes: {walked[-1].sentence}; train longer (--steps), or allow a larger "
            f"loss (--detectable, with --resume). What was trained is in {work.path}"
        )

    def judged(bits: float, looks: int) -> tuple[RunRecord, Score]:
        power = 1 - (1 - POWER) / 2**looks
        return _judged(_folder(work, bits), beside, judge_on, question, power, console)

    found = _upwards([one for one in rungs if one >= min(passed)], walked, tried, judged)
    if found is None:
        raise InputError(f"no size passes on the other part of the speech; see {work.path}")
    record, own = found
    if leads():
        finished = work.path / "finished"
        shutil.rmtree(finished, ignore_errors=True)
        shutil.copytree(_folder(work, record.recipe["bits"]), finished)
        write_papers(finished, record, own, out.name)
        os.replace(finished, out)
        shutil.rmtree(work.path)
    meet()
    return record


def ladder(widths: Sequence[float]) -> tuple[float, ...]:
    """The sizes to search, in bits, smallest first.

    Args:
        widths: of the candidates, ascending; the narrowest and the widest alone are sizes too.
    """
    low, high = float(widths[0]), float(widths[-1])
    return tuple(sorted({low, *(bits for bits in _SIZES if low < bits < high), high}))


def bisected(rungs: Sequence[float], tried: Callable[[float], SizeTried]) -> tuple[SizeTried, ...]:
    """All that were tried on the way to the smallest rung that passes, if larger ones do too."""
    walked: tuple[SizeTried, ...] = ()
    low, high = 0, len(rungs) - 1
    while low <= high:
        middle = (low + high) // 2
        found = tried(rungs[middle])
        walked = (*walked, found)
        low, high = (low, middle - 1) if found.passed else (middle + 1, high)
    return walked


def _upwards(
    rungs: Sequence[float],
    walked: Sequence[SizeTried],
    tried: Callable[[float], SizeTried],
    judged: Callable[[float, int], tuple[RunRecord, Score]],
) -> tuple[RunRecord, Score] | None:
    """What `judged` tells of the smallest rung that passes and that it does not call worse.

    Args:
        judged: of a size, and after how many looks at the same speech.
    """
    walk, looks = {one.bits: one for one in walked}, 0
    for bits in rungs:
        if bits not in walk:
            walk[bits] = tried(bits)
        if not walk[bits].passed:
            continue
        record, own = judged(bits, looks)
        leading = headline(record.comparisons)
        verdict = None if leading is None else leading.verdict
        walk[bits] = replace(walk[bits], judged=verdict)
        if verdict != "worse":
            sizes = tuple(walk.values())
            return replace(record, tried=sizes, seconds=sum(one.seconds for one in sizes)), own
        looks += 1
    return None


def _folder(work: WorkFolder, bits: float) -> Path:
    return work.path / f"{bits:g} bits"


def _decided(folder: Path, before: Sequence[Score], bits: float, question: Question) -> SizeTried:
    """The size against what it is held against; its figures are those of the hardest of them."""
    record = RunRecord.of(folder)
    own = score(before[0].reference, Transcripts.read_trn(folder / "compressed.trn"))
    hardest = min(before, key=lambda one: one.errors)
    pairs = [matched_pairs(one, own, question.alpha, question.detectable) for one in before]
    told = pairs[before.index(hardest)]
    change = (own.errors - hardest.errors) / max(1, hardest.errors)
    return SizeTried(
        bits=bits,
        bytes=record.systems[-1].bytes,
        effective_bits=record.systems[-1].effective_bits,
        wer=own.wer,
        change=change,
        p=told.p,
        verdict=told.verdict,
        passed=all(one.verdict != "worse" for one in pairs) and change <= question.detectable / 2,
        seconds=record.seconds,
    )


def _judged(
    folder: Path,
    before: Sequence[Measured],
    speech: Corpus,
    question: Question,
    power: float,
    console: Console,
) -> tuple[RunRecord, Score]:
    """The model's record with the verdict on speech that the search did not decide on."""
    record = RunRecord.of(folder)
    after = scored(load(folder).to(best_device()), speech, "compressed", console)
    judged = replace(
        record,
        evaluated_on=speech.name,
        systems=(
            *(one.system for one in before),
            replace(record.systems[-1], **rates_of(after)),
        ),
        comparisons=tuple(
            comparison(one, after, question.alpha, question.detectable, power) for one in before
        ),
        got_worse=got_worse(before[0].score, after),
    )
    return judged, after
