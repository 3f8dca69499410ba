"""What the cached teacher costs beside the training it serves.

    python benchmarks/teacher_pass.py

The reference recogniser, `commands`, `default` at 3 bits and 170 updates: the processor's time for
the start point's outputs over what the search hears, over all of the training speech, and for an
update. Kept in `benchmarks/results/teacher_pass.json`.
"""

import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from accelerate import Accelerator
from commands import CHECKPOINT, TRAIN
from rich.console import Console
from rows import RESULTS, machine, row_of

from sottovoce.models.checkpoint import load_checkpoint
from sottovoce.recipe import Recipe, read_recipe
from sottovoce.search.joint import JointObjective
from sottovoce.speech.corpora import read_corpus
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.loop import Update, make_update, optimizer_of
from sottovoce.training.teacher import CachedTeacher

ROWS = RESULTS / "teacher_pass.json"
UPDATES, TIMED = 170, 10
RECIPE = read_recipe("default").replaced({"bits": 3.0, "steps": UPDATES, "learning_rate": 2e-4})

console = Console()


def main() -> None:
    """Measure what is missing."""
    for heard in ("search", "all"):
        console.print(row_of(ROWS, {"measure": "pass", "heard": heard}, partial(_pass, heard)))
    console.print(row_of(ROWS, {"measure": "update"}, _update))


def _pass(heard: str) -> dict[str, Any]:
    recogniser = load_checkpoint(CHECKPOINT)
    speech = TrainingSpeech(read_corpus(TRAIN), recogniser)
    taught = RECIPE.taught(UPDATES, searching=True)
    utterances = speech.heard(RECIPE, taught) if heard == "search" else speech.corpus.utterances
    with TemporaryDirectory() as folder:
        seconds = _processor_seconds(
            lambda: CachedTeacher.computed(
                *(recogniser, speech, RECIPE.seconds_per_batch, Path(folder), console, utterances)
            )
        )
    return {"utterances": len(utterances), "cpu_seconds": seconds, "machine": machine()}


def _update() -> dict[str, Any]:
    """The mean over some of the updates that train a plan."""
    recogniser = load_checkpoint(CHECKPOINT)
    speech = TrainingSpeech(read_corpus(TRAIN), recogniser)
    recipe: Recipe = RECIPE.replaced({"candidates": (3,), "bits": 3})
    objective = JointObjective(recogniser, recipe, Accelerator(cpu=True))
    groups = objective.parameter_groups()
    optimizer = optimizer_of(groups)
    batches = speech.batches(recipe, 0)

    def updates(first: int) -> None:
        for index, batch in enumerate(islice(batches, TIMED), first):
            make_update(objective, groups, optimizer, batch, Update(index, UPDATES), recipe)

    updates(0)
    seconds = _processor_seconds(lambda: updates(TIMED)) / TIMED
    return {"cpu_seconds": seconds, "machine": machine()}


def _processor_seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
