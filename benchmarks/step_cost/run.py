"""What one training update costs beside one of plain full-precision fine-tuning.

    python -m benchmarks.step_cost.run

runs the updates of five methods in turn, round after round, in one process: the same random
weights of the wav2vec2-base shape (`Wav2Vec2Config()`: 94 million parameters, dropout and
SpecAugment as there, but no layer dropped, so that all networks do equal work), the same 100 s of
noise, the convolutional front end frozen, and all that the training loop does around an update:
clipping, learning rates, AdamW, freed memory kept for the next one. A round's ratios are taken
within the round; each round begins with another method, for whatever comes first pays for memory
that nobody has touched yet.

- Seconds: of `make_update`, decoding of audio excluded. The median over the rounds.
- Memory: the largest resident size of a fresh process that makes two updates, the second with
  AdamW's moments in place; interpreter and libraries (about 0.5 GB) are in it.
- Where the time goes: of one more update under torch.profiler.

Each finished measurement is kept in benchmarks/results/step_cost.json; started again, the benchmark
does what is left. It takes about half an hour on two cores and up to 18 GB of memory, and wants
the machine to itself.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from multiprocessing import get_context
from operator import truediv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from accelerate import Accelerator
from rich.console import Console
from rich.table import Column, Table
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.inputs import Needs, parser_of, run
from benchmarks.random_speech import (
    BASE,
    TINY,
    Shape,
    random_recogniser,
    random_speech,
    whole_batch,
)
from benchmarks.rows import RESULTS, Row, machine, row_of
from sottovoce.config.recipe import Training, read_recipe
from sottovoce.memory import keep_freed_memory
from sottovoce.models.features import Features, Targets
from sottovoce.models.recogniser import Recogniser
from sottovoce.search.joint import JointObjective
from sottovoce.training.batch import Batch
from sottovoce.training.full_precision import FullPrecision
from sottovoce.training.loop import Objective, Update, build_optimizer, make_update
from sottovoce.training.teacher import CachedTeacher

NEEDS = Needs(hours=0.5)
MOST_MEMORY = 1.5
UPDATES = 1000  # of the run that these updates would begin: all lie in the search phase
PARTS = {
    "front end": "front end",
    "quantizing": "_QuantizeCandidates",
    "its backward": "_QuantizeCandidatesBackward",
    "optimizer": "Optimizer.step#AdamW.step",
}
"""Part of an update -> its event in torch.profiler."""


@dataclass(frozen=True)
class Method:
    """A way to train. `most_time` is the bar: an update's seconds over full precision's."""

    name: str
    recipe: str | None
    most_time: float


FULL_PRECISION = Method("full precision", None, 1.0)
METHODS = (
    FULL_PRECISION,
    Method("no KL", "paper-no-kl", 1.15),
    Method("cached teacher", "default", 1.25),
    Method("sampled KL", "paper-sampled", 2.9),
    Method("all students", "paper", 4.7),
)


class MarkedRecogniser(Recogniser):
    """A recogniser whose front end torch.profiler sees as one event."""

    def features(self, waveforms: Sequence[np.ndarray], targets: Targets | None = None) -> Features:
        with record_function("front end"):
            return super().features(waveforms, targets)


class Trainee:
    """A method at work on a recogniser of its own."""

    def __init__(self, method: Method, shape: Shape, mixed_precision: str, folder: Path) -> None:
        folder.mkdir()
        plain = random_recogniser(shape)
        recogniser = MarkedRecogniser(plain.model, plain.processor, plain.family)
        speech = random_speech(shape, recogniser, folder)
        accelerator = Accelerator(mixed_precision=mixed_precision, cpu=True)
        self.batch = whole_batch(speech)
        self.recipe: Training
        self.objective: Objective
        if method.recipe is None:
            self.recipe = Training(mixed_precision=mixed_precision)
            self.objective = FullPrecision(recogniser, self.recipe, accelerator)
        else:
            recipe = read_recipe(method.recipe).replaced({"mixed_precision": mixed_precision})
            teacher = None
            if recipe.teacher == "cached":
                teacher = CachedTeacher.computed(
                    recogniser,
                    speech,
                    recipe.seconds_per_batch,
                    folder / "teacher",
                    Console(quiet=True),
                )
            self.recipe = recipe
            self.objective = JointObjective(recogniser, recipe, accelerator, teacher)
        self.groups = self.objective.parameter_groups()
        self.optimizer = build_optimizer(self.groups)

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Inside, AdamW has its moments; outside, a trainee holds its weights alone, so that five
        of them leave room for the one that works."""
        self._update(first_utterance(self.batch), 0)
        yield
        self.optimizer.state.clear()

    def update(self, index: int) -> float:
        """Seconds of one update with the whole batch; `awake` only."""
        started = time.perf_counter()
        self._update(self.batch, index)
        return time.perf_counter() - started

    def _update(self, batch: Batch, index: int) -> None:
        update = Update(index, UPDATES)
        make_update(self.objective, self.groups, self.optimizer, batch, update, self.recipe)


def first_utterance(batch: Batch) -> Batch:
    return replace(
        batch, ids=batch.ids[:1], waveforms=batch.waveforms[:1], targets=batch.targets[:1]
    )


def all_trainees(shape: Shape, mixed_precision: str, folder: Path) -> dict[str, Trainee]:
    """Every method on the same weights; `folder` must stay while they train."""
    return {one.name: Trainee(one, shape, mixed_precision, folder / one.name) for one in METHODS}


def peak_bytes(method: Method, shape: Shape, mixed_precision: str) -> int:
    """The most memory that this process, which must be fresh, has held after two updates.

    A process starts with its parent's largest size on record (Linux carries it over `exec`): the
    parent must be small.
    """
    with keep_freed_memory(), TemporaryDirectory() as folder:
        trainee = Trainee(method, shape, mixed_precision, Path(folder) / "own")
        with trainee.awake():
            trainee.update(1)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def memory_of(method: Method, shape: Shape, mixed_precision: str) -> dict[str, Any]:
    """`peak_bytes` in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        peak = pool.submit(peak_bytes, method, shape, mixed_precision).result()
    print(f"{method.name}: {peak / 1e9:.2f} GB", flush=True)
    return {"bytes": peak}


Trainees = Callable[[], Mapping[str, Trainee]]
"""The methods at work, by name; made when first called for."""


def one_round(trainees: Trainees, index: int) -> dict[str, Any]:
    """Seconds of an update of each method, one after another, beginning with the `index`-th."""
    seconds = {}
    for place in range(len(METHODS)):
        name = METHODS[(index - 1 + place) % len(METHODS)].name
        trainee = trainees()[name]
        with trainee.awake():
            seconds[name] = trainee.update(index)
        print(f"round {index}, {name}: {seconds[name]:.2f} s", flush=True)
    return {"seconds": seconds}


def parts_of_an_update(trainees: Trainees, name: str, index: int) -> dict[str, Any]:
    """Seconds of one update by part; "networks" is what no other part accounts for."""
    trainee = trainees()[name]
    with trainee.awake(), profile(activities=[ProfilerActivity.CPU]) as profiler:
        whole = trainee.update(index)
    spent = {event.key: event.cpu_time_total / 1e6 for event in profiler.key_averages()}
    parts = {part: spent.get(event, 0.0) for part, event in PARTS.items()}
    print(f"parts of {name}", flush=True)
    return {"seconds": {**parts, "networks": whole - sum(parts.values())}}


def print_costs(memory: Mapping[str, Row], rounds: list[Row]) -> None:
    table = Table(Column("method", no_wrap=True), "seconds", "time", "bar", "GB", "memory", "bar")
    base_seconds = [row["seconds"][FULL_PRECISION.name] for row in rounds]
    base_peak = memory[FULL_PRECISION.name]["bytes"]
    for method in METHODS:
        seconds = [row["seconds"][method.name] for row in rounds]
        more_time = statistics.median(map(truediv, seconds, base_seconds))
        peak = memory[method.name]["bytes"]
        table.add_row(
            method.name,
            f"{statistics.median(seconds):.2f}",
            f"{more_time:.2f}x",
            _bar(more_time, method.most_time) if method.recipe else "",
            f"{peak / 1e9:.2f}",
            f"{peak / base_peak:.2f}x",
            _bar(peak / base_peak, MOST_MEMORY) if method.recipe else "",
        )
    Console(width=80).print(table)


def print_parts(rows: Mapping[str, Row]) -> None:
    shown = ("networks", *PARTS)
    table = Table(Column("seconds in", no_wrap=True), *shown)
    for name, row in rows.items():
        table.add_row(name, *(f"{row['seconds'][part]:.2f}" for part in shown))
    Console(width=80).print(table)


def _bar(measured: float, most: float) -> str:
    return f"{'<=' if measured <= most else 'ABOVE'} {most}x"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows that are missing."""
    parser = parser_of(__doc__, NEEDS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mixed-precision", choices=("no", "bf16"), default="no")
    parser.add_argument("--quick", action="store_true", help="a tiny model: only to try the code")
    parser.add_argument("--results", type=Path, default=RESULTS / "step_cost.json")
    given = parser.parse_args(arguments)
    shape, mixed_precision = TINY if given.quick else BASE, given.mixed_precision
    about = {"shape": asdict(shape), "mixed_precision": mixed_precision, "machine": machine()}

    def row(key: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> Row:
        return row_of(given.results, {**key, **about}, measure)

    # Before this process grows: see `peak_bytes`.
    memory = {
        one.name: row(
            {"measured": "memory", "method": one.name},
            partial(memory_of, one, shape, mixed_precision),
        )
        for one in METHODS
    }
    with keep_freed_memory(), TemporaryDirectory() as folder:
        trainees = cache(partial(all_trainees, shape, mixed_precision, Path(folder)))
        rounds = [
            row({"measured": "round", "round": index}, partial(one_round, trainees, index))
            for index in range(1, given.rounds + 1)
        ]
        parts = {
            one.name: row(
                {"measured": "parts", "method": one.name},
                partial(parts_of_an_update, trainees, one.name, given.rounds + 1),
            )
            for one in METHODS
        }
    print_costs(memory, rounds)
    print_parts(parts)


if __name__ == "__main__":
    run(main)
