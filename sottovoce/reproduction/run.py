"""Run a table: every row once, every stage that rows share once, and go on where it stopped."""

import json
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from filelock import FileLock
from rich.console import Console
from rich.markup import escape

from sottovoce.command import how_to_go_on
from sottovoce.commands.compress import compress
from sottovoce.commands.delivery import scored_system
from sottovoce.commands.finetune import finetune
from sottovoce.commands.scored_systems import evaluate_recogniser, float_system
from sottovoce.config.recipe import Recipe, over
from sottovoce.errors import InputError, Interrupted
from sottovoce.files import read_json, refuse_unwritable, write_text
from sottovoce.loading import is_artifact, load, load_checkpoint
from sottovoce.models.recogniser import Recogniser, best_device
from sottovoce.record import System, TrainingPoint
from sottovoce.reproduction.page import TableState, write_pages
from sottovoce.reproduction.pair_tests import PairTest, compare_pair
from sottovoce.reproduction.pairs import Pair
from sottovoce.reproduction.results import ALL, Result, pooled, rate_over
from sottovoce.reproduction.table import INPUT, Table, TableRow
from sottovoce.runtime.processor import processor
from sottovoce.runtime.recognition import references
from sottovoce.scoring import Score, Transcripts, matched_pairs, score
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.overlap import overlapping, refuse_overlap
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.distributed import (
    is_main_process,
    is_single_process,
    main_process_first,
    wait_for_everyone,
)
from sottovoce.training.run import differing, unfinished
from sottovoce.training.timing import Spent
from sottovoce.version import __version__

_OWN = {"rows", "settings.json"}
"""Either is in a table's folder, whatever stopped it."""

Scores = Mapping[str, Score]
"""Test set -> a row's score on it."""


@dataclass(frozen=True)
class _Inputs:
    """Inputs of all rows. `tests` are by name, `shared` options win over a row's own, rows that are
    not `chosen` are reported where they are finished."""

    table: Table
    checkpoint: str
    train_on: Path
    tests: Mapping[str, Path]
    corpora: Mapping[str, Corpus]
    out: Path
    shared: Mapping[str, Any]
    chosen: frozenset[str]
    console: Console

    @property
    def combined(self) -> tuple[str, ...]:
        """The sets that the table combines, if all of them are given; else all that are."""
        wanted = self.table.combined
        return wanted if wanted and set(wanted) <= self.tests.keys() else tuple(self.tests)


def reproduce(
    table: Table,
    checkpoint: str | Path,
    train_on: str | Path,
    tests: Mapping[str, str | Path],
    out: str | Path,
    shared: Mapping[str, Any] | None = None,
    *,
    rows: Collection[str] | None = None,
    console: Console | None = None,
) -> tuple[Result, ...]:
    """Run every row of a table on a checkpoint, and write `table.md`, `table.html`, `table.json`.

    They are written anew after every row. Run again with the same arguments, it goes on; rows and
    test sets may be added.

    The parameters are the command's.

    Args:
        tests: name -> corpus; the first also watches the training (nothing is chosen by it).
        out: folder of the table; models are in `rows` inside, what rows share in `shared`.
        shared: options of `Training` that are the same for all rows, such as steps.
        rows: names of those to run now, with the baseline; finished ones are told beside them.
            None runs all.

    Raises:
        InputError: something cannot be used, test speech was trained on, or what `out` has was
            begun with other arguments; or at the end, where rows failed while others did not.
    """
    known = [row.name for row in table.rows if row.method != "published"]
    table.check(rows, shared or {})
    corpora = {name: read_corpus(path) for name, path in tests.items()}
    training = read_corpus(train_on)
    inputs = _Inputs(
        table=table,
        checkpoint=str(checkpoint),
        train_on=Path(train_on),
        tests={name: Path(path) for name, path in tests.items()},
        corpora=corpora,
        out=Path(out),
        shared=shared or {},
        chosen=frozenset(rows or known) | {table.baseline},
        console=console or Console(stderr=True),
    )
    _refuse_shared_speech(inputs, training)
    start = load_checkpoint(inputs.checkpoint)
    TrainingSpeech(training, start)
    for corpus in corpora.values():
        references(start, corpus)
    with main_process_first():
        if is_main_process():
            _begin(inputs, start, training)
    if not is_main_process():
        for row in _to_run(inputs):
            _trained(inputs, row)
        wait_for_everyone()
        return ()
    results = _run_rows(inputs, start)
    wait_for_everyone()
    return results


def _run_rows(inputs: _Inputs, start: Recogniser) -> tuple[Result, ...]:
    """The rows' results; the pages are written anew after each."""
    results: tuple[Result, ...] = ()
    failures: dict[str, str] = {}
    claims = _Claims(inputs.table.pairs)
    for result, scores in _results(inputs, start, failures):
        results = (*results, result)
        claims.test(result.name, pooled({test: scores[test] for test in inputs.combined}))
        state = TableState(
            inputs.table, results, tuple(inputs.tests), inputs.combined, failures, claims.tested
        )
        write_pages(state, inputs.out)
    if failures:
        write_pages(state, inputs.out)
        raise InputError("; ".join(f"row {name} failed: {why}" for name, why in failures.items()))
    return results


class _Claims:
    """The table's pairs, each tested as soon as all of its rows are finished."""

    def __init__(self, pairs: tuple[Pair, ...]) -> None:
        self.pairs = pairs
        self.scores: dict[str, Score] = {}
        self.tests: dict[Pair, PairTest] = {}

    def test(self, row: str, score: Score) -> None:
        """Test what `row` was missing for."""
        self.scores[row] = score
        for pair in self.pairs:
            if row in pair.rows <= self.scores.keys():
                self.tests[pair] = compare_pair(pair, self.scores)

    @property
    def tested(self) -> tuple[PairTest, ...]:
        """In the table's order."""
        return tuple(self.tests[pair] for pair in self.pairs if pair in self.tests)


def _refuse_shared_speech(inputs: _Inputs, training: Corpus) -> None:
    """Where test speech was trained on, or is in two sets that one verdict is over."""
    for corpus in inputs.corpora.values():
        refuse_overlap(training, corpus)
    for first, second in combinations(inputs.combined, 2):
        if twice := overlapping(inputs.corpora[first], inputs.corpora[second]):
            raise InputError(
                f"test sets {first} and {second} both hold {twice[0]!r}, which a verdict over both "
                "would count twice"
            )


def _begin(inputs: _Inputs, start: Recogniser, training: Corpus) -> None:
    """Note what the rows are made of, where none of those that are begun was made of other things.

    What a table tells of its rows may change, and rows and test sets may be added.
    """
    settings = {
        "version of sottovoce": __version__,
        "checkpoint": start.fingerprint(),
        "training speech": training.fingerprint,
        "first test set": next(iter(inputs.tests)),  # which every training is told to watch
    }
    speech = {name: corpus.fingerprint for name, corpus in inputs.corpora.items()}
    recipes = {
        row.name: json.loads(json.dumps(row.training(inputs.shared).to_record()))
        for row in inputs.table.rows
        if row.method != "published"
    }
    refuse_unwritable(inputs.out)
    if inputs.out.exists() and {path.name for path in inputs.out.iterdir()}.isdisjoint(_OWN):
        raise InputError(f"{inputs.out} exists and is no table's folder; choose another --out")
    (inputs.out / "rows").mkdir(parents=True, exist_ok=True)
    with FileLock(inputs.out / "lock"):  # the command may run twice at once on one table
        _note(inputs, settings, speech, recipes)


def _note(
    inputs: _Inputs,
    settings: Mapping[str, str],
    speech: Mapping[str, str],
    recipes: Mapping[str, Any],
) -> None:
    file = inputs.out / "settings.json"
    if file.exists():
        noted = read_json(file, f"delete {inputs.out} and begin anew")
        different = differing(noted, settings)
        different += [
            f"test speech {name!r}"
            for name, known in dict(noted["test speech"]).items()
            if speech.get(name, known) != known
        ]
        if different:
            raise InputError(
                f"{inputs.out} was not begun with the same {', '.join(different)}; "
                "name another --out or delete it"
            )
        for name, known in noted["recipes"].items():
            if recipes.get(name, known) != known and _begun(inputs, name):
                raise InputError(
                    f"row {name} was begun with other options; give the changed row another name, "
                    f"or delete {inputs.out / 'rows' / name} (or what is .unfinished of it)"
                )
        speech, recipes = {**noted["test speech"], **speech}, {**noted["recipes"], **recipes}
    write_text(file, json.dumps({**settings, "test speech": speech, "recipes": recipes}, indent=2))


def _begun(inputs: _Inputs, row: str) -> bool:
    folder = inputs.out / "rows" / row
    return folder.exists() or unfinished(folder).exists()


def _results(
    inputs: _Inputs, checkpoint: Recogniser, failures: dict[str, str]
) -> Iterator[tuple[Result, Scores]]:
    """The checkpoint, the baseline, what is finished, then the rest, in the table's order each.

    A row that fails is noted in `failures` and left out; without the baseline nothing goes on, nor
    where several processes train, of which one alone may have failed.
    """
    original = _scores(inputs, INPUT, inputs.checkpoint)
    system = float_system(INPUT, checkpoint, next(iter(original.values())))
    start = _result(inputs, INPUT, system, original, Spent(), command="")
    baseline: Scores | None = None
    for row in _to_run(inputs):
        inputs.console.rule(escape(f"{row.name}: {row.system}"))
        try:
            folder = _trained(inputs, row)
            scores = _scores(inputs, row.name, folder)
        except InputError as error:
            if baseline is None or not is_single_process():
                raise
            failures[row.name] = str(error)
            inputs.console.out(f"row {row.name} failed: {error}", highlight=False)
            continue
        if baseline is None:
            baseline = scores
            yield _compared(inputs, replace(start, ratio=1.0), original, baseline), original
        result = _row_result(inputs, row, folder, scores)
        result = replace(result, ratio=start.bytes / result.bytes)
        if scores is not baseline:
            result = _compared(inputs, result, scores, baseline)
        yield result, scores


def _to_run(inputs: _Inputs) -> list[TableRow]:
    """The baseline, what is finished, then the rest of what is chosen."""
    finished = {row.name for row in inputs.table.rows if (inputs.out / "rows" / row.name).exists()}
    run = [row for row in inputs.table.rows if row.name in inputs.chosen | finished]
    return sorted(
        run, key=lambda row: (row.name != inputs.table.baseline, row.name not in finished)
    )


def _trained(inputs: _Inputs, row: TableRow) -> Path:
    """The row's folder, trained now where it is not there."""
    folder = inputs.out / "rows" / row.name
    if folder.exists():
        return folder
    recipe = row.training(inputs.shared)
    resume = unfinished(folder).exists()
    watched = next(iter(inputs.tests.values()))
    common = (inputs.checkpoint, inputs.train_on, watched, folder)
    try:
        if isinstance(recipe, Recipe):
            cache = inputs.out / "shared"
            compress(*common, recipe, cache=cache, resume=resume, console=inputs.console)
        else:
            finetune(*common, recipe, resume=resume, console=inputs.console)
    except Interrupted as stopped:
        raise Interrupted(
            f"interrupted in row {row.name}; {how_to_go_on('call it again')}"
        ) from stopped
    if is_main_process():
        write_text(
            _processors(inputs), json.dumps({**_trained_on(inputs), row.name: str(processor())})
        )
    return folder


def _processors(inputs: _Inputs) -> Path:
    return inputs.out / "processors.json"


def _trained_on(inputs: _Inputs) -> dict[str, str]:
    """Row -> the processor that finished its training, of those that were trained here."""
    file = _processors(inputs)
    return json.loads(file.read_text()) if file.exists() else {}


def _scores(inputs: _Inputs, name: str, model: str | Path) -> dict[str, Score]:
    """On every test set; transcripts are kept, so that the same weights are run once."""
    recogniser = load(model).to(best_device())
    folder = inputs.out / "transcripts" / name / recogniser.fingerprint()
    folder.mkdir(parents=True, exist_ok=True)
    scores = {}
    for test, corpus in inputs.corpora.items():
        reference, file = references(recogniser, corpus), folder / f"{test}.trn"
        if file.exists():
            scores[test] = score(reference, Transcripts.read_trn(file))
        else:
            scores[test] = evaluate_recogniser(
                recogniser, corpus, f"{name}, {test}", inputs.console
            )
            scores[test].hypothesis.write_trn(file)
    return scores


def _row_result(inputs: _Inputs, row: TableRow, folder: Path, scores: Scores) -> Result:
    recogniser, first = load(folder), next(iter(scores.values()))
    system = scored_system(row.name, folder, recogniser, first).system
    command = _command(inputs, row, folder)
    result = _result(inputs, row.name, system, scores, _spent(folder), command)
    return replace(result, processor=_trained_on(inputs).get(row.name))


def _spent(folder: Path) -> Spent:
    """On training a row."""
    metrics = json.loads((folder / "metrics.json").read_text())
    if not is_artifact(folder):
        return Spent.of(TrainingPoint(**metrics["history"][-1]))
    return Spent(metrics["training_seconds"], metrics.get("training_cpu_seconds"))


def _result(
    inputs: _Inputs, name: str, system: System, scores: Scores, spent: Spent, command: str
) -> Result:
    rates = {test: score.wer for test, score in scores.items()}
    return Result(
        name=name,
        bits=system.nominal_bits,
        effective_bits=system.effective_bits,
        bytes=system.bytes,
        ratio=1.0,
        **asdict(spent),
        wer={**rates, ALL: rate_over({test: scores[test] for test in inputs.combined})},
        verdicts={},
        p=None,
        command=command,
    )


def _compared(inputs: _Inputs, result: Result, scores: Scores, baseline: Scores) -> Result:
    each = {test: matched_pairs(baseline[test], score).verdict for test, score in scores.items()}
    first, second = (
        pooled({test: run[test] for test in inputs.combined}) for run in (baseline, scores)
    )
    over_all = matched_pairs(first, second)
    return replace(result, verdicts={**each, ALL: over_all.verdict}, p=over_all.p)


def _command(inputs: _Inputs, row: TableRow, folder: Path) -> str:
    watched = str(next(iter(inputs.tests.values())))
    words = [row.method, inputs.checkpoint, "--train", str(inputs.train_on), "--dev", watched]
    if row.method == "compress":
        words += ["--recipe", row.recipe]
    for name, value in over(row.options, inputs.shared).items():
        flag = name.replace("_", "-")
        words += (
            [f"--{flag}" if value else f"--no-{flag}"]
            if isinstance(value, bool)
            else ([f"--{flag}", _written(value)])
        )
    return shlex.join(["sottovoce", *words, "--out", str(folder)])


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{bits}:{weight}" for bits, weight in value.items())
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)
