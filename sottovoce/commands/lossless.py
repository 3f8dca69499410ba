"""The autopilot: the smallest model that is not significantly worse.

The sizes of a `ladder` are searched by bisection, a whole compression from the same start point at
each that is tried. It is decided on one part of the evaluation speech; the verdict is given on the
other, which can only send the search back to a larger size.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from sottovoce.command import how_to_go_on
from sottovoce.commands.compress import compress_prepared, settings_of, stages_of
from sottovoce.commands.criterion import LosslessCriterion
from sottovoce.commands.delivery import scored_system, write_reports
from sottovoce.commands.prepared import Prepared
from sottovoce.commands.scored_systems import (
    ScoredSystem,
    comparison,
    evaluate_recogniser,
    got_worse,
    print_warnings,
    rates_of,
    system_name,
)
from sottovoce.config.decoding import Decoding
from sottovoce.config.recipe import Recipe
from sottovoce.errors import InputError
from sottovoce.loading import load
from sottovoce.models.recogniser import Recogniser, best_device
from sottovoce.record import RunRecord, TriedSize
from sottovoce.report.verdict import headline
from sottovoce.runtime.recognition import name_of_speech, references
from sottovoce.scoring import POWER, Score, Transcripts, matched_pairs, score
from sottovoce.scoring.foresight import empty_output_warnings, too_few_words_warnings
from sottovoce.speech.corpus import Corpus, SpeechPath
from sottovoce.speech.overlap import refuse_overlap
from sottovoce.speech.splitting import split_in_halves
from sottovoce.training.distributed import is_main_process, process_state
from sottovoce.training.run import Run

_SIZES = (1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0)
"""Bits; nearer to one another where a step is a larger share of the size."""


def compress_lossless(
    source: str | Path,
    train_on: SpeechPath,
    evaluate_on: SpeechPath,
    out: str | Path,
    recipe: Recipe | None = None,
    question: LosslessCriterion | None = None,
    *,
    baseline: str | Path | None = None,
    cache: str | Path | None = None,
    decoding: Decoding | None = None,
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

    The parameters are the command's.

    Args:
        evaluate_on: a corpus of at least 20 utterances; it shares none with `train_on`.
        recipe: its size (`bits`, `eta`) is not used, and may be None.
        baseline: another recogniser to hold the sizes against.
        cache: as in `compress`; None shares among the sizes alone.
        resume: finished sizes are not trained again.

    Raises:
        InputError: something given cannot be used, the start point recognises nothing, or no size
            passes.
    """
    recipe = (recipe or Recipe()).replaced({"bits": None, "eta": None})
    question, out = question or LosslessCriterion(), Path(out)
    console = console or Console(stderr=True)
    start = Prepared.read(
        source, train_on, evaluate_on, console, unlabelled=recipe.unlabelled, decoding=decoding
    )
    recipe = start.resolved(recipe)
    start.recogniser.to(process_state().device)
    refuse_overlap(start.speech.corpus, start.evaluation)
    split_in_halves(start.evaluation)  # refuses now what is too little
    rivals = [_Rival("input checkpoint", source, start.recogniser)]
    if baseline is not None:
        rivals.append(_Rival.read(baseline, start))
    with Run.open(
        out, start.inputs, {"recipe": recipe.to_record()}, resume=resume, console=console
    ) as run:
        search = _search(run, start, recipe, question, rivals, cache or run.path / "shared")
        record, own = search.smallest()
        if is_main_process():
            shutil.rmtree(run.finished, ignore_errors=True)
            shutil.copytree(search.folder(record.recipe["bits"]), run.finished)
            write_reports(run.finished, record, own, out.name)
        run.publish()
    return record


@dataclass(frozen=True)
class _Rival:
    """A recogniser that every size is compared with."""

    name: str
    model: str | Path
    recogniser: Recogniser

    @classmethod
    def read(cls, baseline: str | Path, start: Prepared) -> "_Rival":
        """Raises InputError where it writes in other characters than the start point."""
        recogniser = load(baseline, start.recogniser.decoding).to(best_device())
        wanted = references(start.recogniser, start.evaluation).utterances
        if references(recogniser, start.evaluation).utterances != wanted:
            raise InputError(f"{baseline} writes in other characters or case: no fair baseline")
        return cls(system_name(baseline), baseline, recogniser)

    def evaluate(self, speech: Corpus, console: Console) -> ScoredSystem:
        own = evaluate_recogniser(self.recogniser, speech, self.name, console)
        return scored_system(self.name, self.model, self.recogniser, own)


def _search(
    run: Run,
    start: Prepared,
    recipe: Recipe,
    question: LosslessCriterion,
    rivals: Sequence[_Rival],
    cache: str | Path,
) -> "_Search":
    """What a search begins with: the rivals measured on either part of the speech, once for all
    sizes.

    Raises:
        InputError: the start point recognises nothing.
    """
    console = start.console
    decide_on, judge_on = split_in_halves(start.evaluation)
    before = [rival.evaluate(decide_on, console) for rival in rivals]
    for told in empty_output_warnings(before[0].score, start.source, decide_on.name):
        raise InputError(told)
    beside = [rival.evaluate(judge_on, console) for rival in rivals]
    first = beside[0].score
    print_warnings(
        too_few_words_warnings(first, judge_on.name, question.alpha, question.detectable), console
    )
    deciding = replace(start, evaluation=decide_on)
    return _Search(run, deciding, recipe, question, before, beside, judge_on, cache)


@dataclass(frozen=True)
class _Search:
    """The sizes of one run, each compressed from the same start, and what is asked of them.

    Attributes:
        start: with the speech that decides.
        before: what sizes are compared with, on that speech; `beside`, on the other part.
        cache: what the sizes share.
    """

    run: Run
    start: Prepared
    recipe: Recipe
    question: LosslessCriterion
    before: Sequence[ScoredSystem]
    beside: Sequence[ScoredSystem]
    judge_on: Corpus
    cache: str | Path

    def smallest(self) -> tuple[RunRecord, Score]:
        """The smallest size that passes and is not called worse, judged.

        Raises:
            InputError: there is none.
        """
        rungs = ladder(self.recipe.widths)
        walked = bisect(rungs, self.tried)
        passed = [one.bits for one in walked if one.passed]
        if not passed:
            raise InputError(
                f"no size passes: {walked[-1].sentence}; train longer (--steps), or allow a larger "
                f"loss (--detectable) and {how_to_go_on()}. What was trained is in {self.run.path}"
            )
        found = upwards(
            [one for one in rungs if one >= min(passed)], walked, self.tried, self.judged
        )
        if found is None:
            raise InputError(f"no size passes on the other part of the speech; see {self.run.path}")
        return found

    def folder(self, bits: float) -> Path:
        """Of a size that is finished."""
        return self.run.path / f"{bits:g} bits"

    def tried(self, bits: float) -> TriedSize:
        """What is decided of a size; it is compressed first, if it is not there."""
        console = self.start.console
        if not self.folder(bits).exists():
            console.rule(f"{bits:g} bits")
            recipe = self.recipe.replaced({"bits": bits})
            settings = settings_of(recipe, None)
            with Run.open(
                self.folder(bits), self.start.inputs, settings, resume=True, console=console
            ) as run:
                stages = stages_of(run, self.start, self.cache)
                compress_prepared(run, self.start, recipe, stages, self.before[:1])
        scores = [one.score for one in self.before]
        found = _decided(self.folder(bits), scores, bits, self.question)
        console.out(found.sentence)
        return found

    def judged(self, bits: float, looks: int) -> tuple[RunRecord, Score]:
        """The model's record with the verdict on speech that the search did not decide on.

        Args:
            looks: that were taken at this speech before.
        """
        power = power_of_look(looks)
        record = RunRecord.of(self.folder(bits))
        decoding = self.start.recogniser.decoding
        packed = load(self.folder(bits), decoding).to(best_device())
        after = evaluate_recogniser(packed, self.judge_on, "compressed", self.start.console)
        alpha, detectable = self.question.alpha, self.question.detectable
        judged = replace(
            record,
            evaluated_on=name_of_speech(packed, self.judge_on),
            systems=(
                *(one.system for one in self.beside),
                replace(record.systems[-1], **rates_of(after)),
            ),
            comparisons=tuple(
                comparison(one, after, alpha, detectable, power) for one in self.beside
            ),
            got_worse=got_worse(self.beside[0].score, after),
        )
        return judged, after


def ladder(widths: Sequence[float]) -> tuple[float, ...]:
    """The sizes to search, in bits, smallest first.

    Args:
        widths: of the candidates, ascending; the narrowest and the widest alone are sizes too.
    """
    low, high = float(widths[0]), float(widths[-1])
    return tuple(sorted({low, *(bits for bits in _SIZES if low < bits < high), high}))


def bisect(rungs: Sequence[float], tried: Callable[[float], TriedSize]) -> tuple[TriedSize, ...]:
    """All that were tried on the way to the smallest rung that passes, if larger ones do too."""
    walked: tuple[TriedSize, ...] = ()
    low, high = 0, len(rungs) - 1
    while low <= high:
        middle = (low + high) // 2
        found = tried(rungs[middle])
        walked = (*walked, found)
        low, high = (low, middle - 1) if found.passed else (middle + 1, high)
    return walked


def power_of_look(looks: int) -> float:
    """Of the test at this speech after so many looks at it: each halves the risk of a miss."""
    return 1 - (1 - POWER) / 2**looks


def upwards(
    rungs: Sequence[float],
    walked: Sequence[TriedSize],
    tried: Callable[[float], TriedSize],
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


def _decided(
    folder: Path, before: Sequence[Score], bits: float, question: LosslessCriterion
) -> TriedSize:
    """The size against what it is held against; its figures are those of the hardest of them."""
    record = RunRecord.of(folder)
    own = score(before[0].reference, Transcripts.read_trn(folder / "compressed.trn"))
    hardest = min(before, key=lambda one: one.errors)
    pairs = [matched_pairs(one, own, question.alpha, question.detectable) for one in before]
    told = pairs[before.index(hardest)]
    change = (own.errors - hardest.errors) / max(1, hardest.errors)
    return TriedSize(
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
