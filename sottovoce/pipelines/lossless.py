"""The autopilot: the smallest model that is not significantly worse.

The sizes of `LADDER` are searched by bisection, a whole compression from the same start point at
each that is tried. It is decided on one part of the evaluation speech; the verdict is given on the
other, which nothing was chosen by.
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from sottovoce.errors import InputError
from sottovoce.models.checkpoint import load, load_checkpoint
from sottovoce.models.recogniser import Recogniser, best_device
from sottovoce.pipelines.delivery import baseline_of, write_papers
from sottovoce.pipelines.joint import compress
from sottovoce.pipelines.measured import (
    Measured,
    comparison,
    float_system,
    got_worse,
    rates_of,
    scored,
)
from sottovoce.recipe import Recipe
from sottovoce.report.record import RunRecord, SizeTried
from sottovoce.scoring import Score, Transcripts, matched_pairs, score
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.overlap import refuse_overlap
from sottovoce.speech.splitting import halves
from sottovoce.training.state import WorkFolder

LADDER = (2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0)


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


def compress_lossless(
    source: str | Path,
    train_on: str | Path,
    evaluate_on: str | Path,
    out: str | Path,
    recipe: Recipe | None = None,
    question: Question | None = None,
    *,
    baseline: str | Path | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> RunRecord:
    """Find the smallest size at which no loss is shown, and deliver that model.

    A size passes where the model is not significantly worse than the input checkpoint and the loss
    that was seen is at most half of the one asked about, so that chance alone seldom lets one pass.

    Args:
        evaluate_on: a corpus of at least 20 utterances; it shares none with `train_on`.
        recipe: its `bits` are not used.
        baseline: another recogniser to give a verdict against, such as U1.
        resume: go on with an interrupted search; sizes that are finished are not trained again.

    Returns:
        What `metrics.json` holds; `tried` is the way to the size.

    Raises:
        InputError: something given cannot be used, or no size passes.
    """
    recipe, question, out = recipe or Recipe(), question or Question(), Path(out)
    console = console or Console(stderr=True)
    evaluation = read_corpus(evaluate_on)
    refuse_overlap(read_corpus(train_on, transcribed=not recipe.unlabelled), evaluation)
    decide_on, judge_on = halves(evaluation)
    start = load_checkpoint(source).to(best_device())
    work = WorkFolder.open(out, _settings(start, evaluation, recipe, question), resume)
    before = scored(start, decide_on, "input checkpoint", console)

    def tried(bits: float) -> tuple[Path, SizeTried]:
        folder = work.path / f"{bits:g} bits"
        if not folder.exists():
            console.rule(f"{bits:g} bits")
            compress(
                source,
                train_on,
                decide_on,
                folder,
                recipe.replaced({"bits": bits, "eta": None}),
                cache=work.path / "shared",
                resume=folder.with_name(folder.name + ".unfinished").exists(),
                console=console,
            )
        found = _decided(folder, before, bits, question)
        console.out(found.sentence)
        return folder, found

    low, high = recipe.candidates[0], recipe.candidates[-1]
    rungs = [bits for bits in LADDER if low <= bits <= high]
    best, walked = _bisected(rungs, tried)
    if best is None:
        raise InputError(
            f"no size passes: {walked[-1].sentence}; train longer (--steps), or allow a larger "
            f"loss (--detectable). What was trained is in {work.path}"
        )
    _judged(best, start, judge_on, walked, question, recipe, baseline, out.name, console)
    os.replace(best, out)
    shutil.rmtree(work.path)
    return RunRecord.from_json(json.loads((out / "metrics.json").read_text()))


def _settings(
    start: Recogniser, evaluation: Corpus, recipe: Recipe, question: Question
) -> dict[str, object]:
    return {
        "set of weights": start.fingerprint(),
        "evaluation speech": evaluation.fingerprint,
        "recipe": recipe.to_record(),
        "question": [question.alpha, question.detectable],
    }


def _bisected(
    rungs: Sequence[float], tried: Callable[[float], tuple[Path, SizeTried]]
) -> tuple[Path | None, tuple[SizeTried, ...]]:
    """The smallest rung that passes, sizes taken to be in order of quality; and all tried."""
    best: Path | None = None
    walked: list[SizeTried] = []
    low, high = 0, len(rungs) - 1
    while low <= high:
        middle = (low + high) // 2
        folder, found = tried(rungs[middle])
        walked.append(found)
        if found.passed:
            best, high = folder, middle - 1
        else:
            low = middle + 1
    return best, tuple(walked)


def _decided(folder: Path, before: Score, bits: float, question: Question) -> SizeTried:
    record = RunRecord.from_json(json.loads((folder / "metrics.json").read_text()))
    reference = Transcripts.read_trn(folder / "reference.trn")
    own = score(before.reference, Transcripts.read_trn(folder / "compressed.trn"))
    if reference.utterances != before.reference.utterances:
        raise InputError(f"{folder} was evaluated on other speech; delete it")
    pairs = matched_pairs(before, own, question.alpha, question.detectable)
    change = own.errors / max(1, before.errors) - 1
    return SizeTried(
        bits=bits,
        bytes=record.systems[-1].bytes,
        wer=own.wer,
        change=change,
        p=pairs.p,
        verdict=pairs.verdict,
        passed=pairs.verdict != "worse" and change <= question.detectable / 2,
        seconds=record.seconds,
    )


def _judged(
    folder: Path,
    start: Recogniser,
    speech: Corpus,
    walked: tuple[SizeTried, ...],
    question: Question,
    recipe: Recipe,
    baseline: str | Path | None,
    name: str,
    console: Console,
) -> None:
    """Write the model's papers anew, with the verdict on speech that decided nothing."""
    record = RunRecord.from_json(json.loads((folder / "metrics.json").read_text()))
    before = scored(start, speech, "input checkpoint", console)
    after = scored(load(folder).to(best_device()), speech, "compressed", console)
    baselines = [Measured(float_system("input checkpoint", start, before), before)]
    if baseline is not None:
        baselines.append(baseline_of(baseline, speech, before.reference, console))
    compressed = replace(record.systems[-1], **rates_of(after))
    judged = replace(
        record,
        evaluated_on=speech.name,
        seconds=sum(one.seconds for one in walked),
        systems=(*(one.system for one in baselines), compressed),
        comparisons=tuple(
            comparison(one, after, question.alpha, question.detectable) for one in baselines
        ),
        got_worse=got_worse(before, after),
        tried=walked,
    )
    bits = next(one.bits for one in walked if folder.name == f"{one.bits:g} bits")
    toml = recipe.replaced({"bits": bits, "eta": None}).to_toml()
    write_papers(folder, judged, toml, after, name)
