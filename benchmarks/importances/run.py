"""Do the importances learn which layers matter, or noise? Ways to teach them, compared.

    python -m benchmarks.importances.run

The reference recogniser on `commands`, default recipe at 3 bits, the first 50 updates of a search:
with P1's sampled gradient or the expected second-order cost, each without and with the pull to the
teacher. A plan is judged without any further training: by the KL divergence from the start point
that rounding the start point's weights to it makes, on training speech. Beside them stand random
plans, the plan of least squared weight error, and the plan that is best for costs which are
measured layer by layer (the rise of the divergence when that layer alone goes from 4 to 2 bits).
Then searches of 15 and 26 updates, what the default recipe has of 100 and 170, with and without a
3-bit candidate, beside uniform 3 bits. Rows are kept in `benchmarks/results/importances.json`.
"""

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from benchmarks.compressing import COMMON, MODELS, console
from benchmarks.inputs import Inputs, Needs, parser_of, run
from benchmarks.plans.made import BITS, layer_sizes, least_squares_plan, random_plan
from benchmarks.rows import RESULTS, row_of
from sottovoce.config.recipe import Recipe, read_recipe
from sottovoce.loading import load_checkpoint
from sottovoce.search.joint import JointObjective
from sottovoce.search.supernet import PLAN
from sottovoce.sensitivity.allocation import best_allocation
from sottovoce.speech.corpora import read_corpus
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.loop import Update, build_optimizer, make_update
from sottovoce.training.losses import kl_divergence
from sottovoce.training.teacher import CachedTeacher

NEEDS = Needs(hours=1, data=True)
ROWS = RESULTS / "importances.json"
UPDATES = 50
SEEDS = (0, 1)
COST_BATCHES = 3
RANDOM_PLANS = 5
SHORT = (15, 26)
CANDIDATES = ((2, 4, 8), (2, 3, 4, 8))
WAYS = tuple((way, kl) for kl in (0.0, 1.0) for way in ("sampled", "expected"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows that are missing."""
    measure(Inputs.at(parser_of(__doc__, NEEDS).parse_args(arguments).data))


def measure(inputs: Inputs) -> None:
    """Searches, taught in every way; then other plans."""
    base = read_recipe("default").replaced(
        {**COMMON, "bits": BITS, "steps": 2 * UPDATES, "search_share": 0.5}
    )
    for way, kl in WAYS:
        for seed in SEEDS:
            changes = {"importance_gradient": way, "kl_mixed": kl, "seed": seed}
            key = {"measure": "search", "way": way, "kl": kl, "seed": seed, "updates": UPDATES}
            row_of(ROWS, key, partial(_searched, inputs, base.replaced(changes), UPDATES))
    for candidates, updates, seed in product(CANDIDATES, SHORT, SEEDS):
        recipe = base.replaced({"candidates": candidates, "steps": 2 * updates, "seed": seed})
        key = {"measure": "short", "candidates": candidates, "updates": updates, "seed": seed}
        row_of(ROWS, key, partial(_searched, inputs, recipe, updates))
    uniform = base.replaced({"candidates": (3,)})
    key = {"measure": "plan", "name": "uniform, 3 bits"}
    row_of(ROWS, key, lambda: _judged(inputs, uniform, [3] * len(layer_sizes(inputs.checkpoint))))
    key = {"measure": "own cost", "batches": COST_BATCHES}
    costs = row_of(ROWS, key, lambda: _costs(inputs, base))
    measured = np.array(costs["cost"])
    plans = {
        f"random {k + 1}": random_plan(inputs.checkpoint, base, k) for k in range(RANDOM_PLANS)
    }
    plans["least squared weight error"] = least_squares_plan(inputs.checkpoint, base)
    scores = np.stack([-measured, 0 * measured, 0 * measured], 1)
    plans["best for the measured costs"] = best_allocation(
        scores, costs["sizes"], base.widths, BITS
    ).bits
    for name, plan in plans.items():
        row_of(ROWS, {"measure": "plan", "name": name}, partial(_judged, inputs, base, plan))


def _objective(inputs: Inputs, recipe: Recipe) -> tuple[JointObjective, TrainingSpeech]:
    recogniser = load_checkpoint(inputs.checkpoint)
    speech = TrainingSpeech(read_corpus(inputs.train), recogniser)
    teacher = CachedTeacher.computed(
        recogniser, speech, recipe.seconds_per_batch, MODELS / "shared" / "teacher", console
    )
    return JointObjective(recogniser, recipe, Accelerator(), teacher), speech


def _searched(inputs: Inputs, recipe: Recipe, updates: int) -> dict[str, Any]:
    objective, speech = _objective(inputs, recipe)
    groups = objective.parameter_groups()
    optimizer = build_optimizer(groups)
    batches = speech.batches(recipe, 0)
    for index in range(updates):
        update = Update(index, 2 * updates)
        make_update(objective, groups, optimizer, next(batches), update, recipe)
    preference = objective.expected_bits()
    assert preference is not None
    plan = [precision.bits for precision in objective.hard_plan().values()]
    return {"preference": list(preference.values()), **_judged(inputs, recipe, plan)}


def _judged(inputs: Inputs, recipe: Recipe, plan: Sequence[float]) -> dict[str, Any]:
    """The divergence that a plan makes of the untrained start point."""
    return {"plan": list(plan), "divergence": _divergences(inputs, recipe, [plan])[0]}


def _costs(inputs: Inputs, recipe: Recipe) -> dict[str, Any]:
    sizes = list(layer_sizes(inputs.checkpoint).values())
    count = len(sizes)
    lowered = [[2 if index == own else 4 for index in range(count)] for own in range(count)]
    reference, *found = _divergences(inputs, recipe, [[4] * count, *lowered])
    return {"cost": [one - reference for one in found], "sizes": sizes}


@torch.no_grad()
def _divergences(inputs: Inputs, recipe: Recipe, plans: Sequence[Sequence[float]]) -> list[float]:
    """Mean over the same batches for every plan, nats a frame."""
    objective, speech = _objective(inputs, recipe)
    objective.recogniser.model.eval()
    batches = speech.batches(recipe.replaced({"seed": 99}), 0)
    found = np.zeros(len(plans))
    for _ in range(COST_BATCHES):
        batch = next(batches)
        features = objective.recogniser.features(batch.waveforms)
        found += [_divergence(objective, features, batch.ids, plan) for plan in plans]
    return (found / COST_BATCHES).tolist()


def _divergence(
    objective: JointObjective, features: Any, ids: Sequence[str], bits: Sequence[float]
) -> float:
    assert objective.teacher is not None
    step = objective.supernet.quantize(plan=objective.supernet.plan(bits))
    with step.running(PLAN):
        logits = objective.recogniser.logits(features)
    teacher = objective.teacher.posteriors(ids).at(logits.device).over(logits.shape[1])
    return kl_divergence(teacher, logits, features.position_mask(logits)).item()


if __name__ == "__main__":
    run(main)
