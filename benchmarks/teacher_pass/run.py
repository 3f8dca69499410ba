"""What the cached teacher costs beside the training it serves.

    python -m benchmarks.teacher_pass.run

The reference recogniser, `commands`, `default` at 3 bits and 170 updates: the processor's time for
the start point's outputs over what the search hears, over all of the training speech, and for an
update. Kept in `benchmarks/results/teacher_pass.json`.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from accelerate import Accelerator

from benchmarks.compressing import console
from benchmarks.inputs import Inputs, Needs, parser_of, run
from benchmarks.rows import RESULTS, machine, row_of
from sottovoce.config.recipe import Recipe, read_recipe
from sottovoce.loading import load_checkpoint
from sottovoce.search.joint import JointObjective
from sottovoce.speech.corpora import read_corpus
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.loop import Update, build_optimizer, make_update
from sottovoce.training.teacher import CachedTeacher

NEEDS = Needs(hours=0.25, data=True)
ROWS = RESULTS / "teacher_pass.json"
UPDATES, TIMED = 170, 10
RECIPE = read_recipe("default").replaced({"bits": 3.0, "steps": UPDATES, "learning_rate": 2e-4})


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing."""
    inputs = Inputs.at(parser_of(__doc__, NEEDS).parse_args(arguments).data)
    torch.set_num_threads(1)
    for heard in ("search", "all"):
        key = {"measure": "pass", "heard": heard}
        console.print(row_of(ROWS, key, partial(_pass, inputs, heard)))
    console.print(row_of(ROWS, {"measure": "update"}, partial(_update, inputs)))


def _pass(inputs: Inputs, heard: str) -> dict[str, Any]:
    recogniser = load_checkpoint(inputs.checkpoint)
    speech = TrainingSpeech(read_corpus(inputs.train), recogniser)
    taught = RECIPE.taught(UPDATES, searching=True)
    utterances = speech.heard(RECIPE, taught) if heard == "search" else speech.corpus.utterances
    with TemporaryDirectory() as folder:
        seconds = _processor_seconds(
            lambda: CachedTeacher.computed(
                *(recogniser, speech, RECIPE.seconds_per_batch, Path(folder), console, utterances)
            )
        )
    return {"utterances": len(utterances), "cpu_seconds": seconds, "machine": machine()}


def _update(inputs: Inputs) -> dict[str, Any]:
    """The mean over some of the updates that train a plan."""
    recogniser = load_checkpoint(inputs.checkpoint)
    speech = TrainingSpeech(read_corpus(inputs.train), recogniser)
    recipe: Recipe = RECIPE.replaced({"candidates": (3,), "bits": 3})
    objective = JointObjective(recogniser, recipe, Accelerator(cpu=True))
    groups = objective.parameter_groups()
    optimizer = build_optimizer(groups)
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
    run(main)
