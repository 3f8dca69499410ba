"""Do the importances learn which layers matter, or noise? Two ways to teach them, compared.

    python benchmarks/plan_signal.py

The reference recogniser on `commands`, default recipe at 2.5 bits, the first updates of a search.
A layer's *own cost* is measured directly: how much the KL divergence from the start point rises
when that layer alone goes from 4 to 2 bits. A learnt plan is good where the layers that it leaves
at 4 bits are those of large cost; random plans of the same size and the best plan for these costs
stand beside it. Rows are kept in `benchmarks/results/plan_signal.json`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from commands import CHECKPOINT, COMMON, PLAN_BITS, RUNS, TRAIN
from rich.console import Console
from rows import RESULTS, rank_correlation, row_of

from sottovoce.models.checkpoint import load_checkpoint
from sottovoce.recipe import Recipe, read_recipe
from sottovoce.search.allocation import best_choice
from sottovoce.search.joint import JointObjective
from sottovoce.search.supernet import PLAN
from sottovoce.speech.corpora import read_corpus
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.loop import Update, make_update, optimizer_of
from sottovoce.training.losses import kl_divergence
from sottovoce.training.teacher import CachedTeacher

ROWS = RESULTS / "plan_signal.json"
UPDATES = 50
SEEDS = (0, 1)
COST_BATCHES = 3
RANDOM_PLANS = 20

console = Console()


def main() -> None:
    """Measure the rows that are missing and print them."""
    base = read_recipe("default").replaced(
        {**COMMON, "bits": PLAN_BITS, "steps": 2 * UPDATES, "candidates": (2, 4, 8)}
    )
    costs = row_of(ROWS, {"measure": "own cost", "batches": COST_BATCHES}, lambda: _costs(base))
    cost, sizes = np.array(costs["cost"]), costs["sizes"]
    total = float(cost.sum())

    def covered(plan: Sequence[int]) -> float:
        return float(cost[np.array(plan) > 2].sum()) / total

    for way in ("sampled", "expected"):
        learnt = []
        for seed in SEEDS:
            recipe = base.replaced({"importance_gradient": way, "seed": seed})
            key = {"measure": "search", "way": way, "seed": seed, "updates": UPDATES}
            learnt.append(row_of(ROWS, key, partial(_searched, recipe)))
        shares = ", ".join(f"{covered(row['plan']):.2f}" for row in learnt)
        agree = [
            rank_correlation(one, other)
            for one, other in combinations([row["preference"] for row in learnt], 2)
        ]
        told = ", ".join(f"{rho:.2f}" for rho in agree)
        console.print(f"{way}: cost covered {shares}; rank correlation of the seeds {told}")
    others = row_of(ROWS, {"measure": "other plans"}, lambda: _other_plans(cost, sizes, covered))
    console.print({name: round(others[name], 2) for name in ("random_mean", "random_best", "best")})


def _other_plans(
    cost: np.ndarray, sizes: Sequence[int], covered: Callable[[Sequence[int]], float]
) -> dict[str, float]:
    draws = np.random.default_rng(0)
    random = [
        covered(best_choice(draws.standard_normal((len(sizes), 3)), sizes, (2, 4, 8), 2.5).bits)
        for _ in range(RANDOM_PLANS)
    ]
    at_best = best_choice(np.stack([0 * cost, cost, cost], 1), sizes, (2, 4, 8), PLAN_BITS)
    return {
        "random_mean": float(np.mean(random)),
        "random_best": max(random),
        "best": covered(at_best.bits),
    }


def _objective(recipe: Recipe) -> tuple[JointObjective, TrainingSpeech]:
    recogniser = load_checkpoint(CHECKPOINT)
    speech = TrainingSpeech(read_corpus(TRAIN), recogniser)
    teacher = CachedTeacher.computed(
        recogniser, speech, recipe.seconds_per_batch, RUNS / "teacher", console
    )
    return JointObjective(recogniser, recipe, Accelerator(), teacher), speech


def _searched(recipe: Recipe) -> dict[str, Any]:
    objective, speech = _objective(recipe)
    groups = objective.parameter_groups()
    optimizer = optimizer_of(groups)
    batches = speech.batches(recipe, 0)
    for index in range(UPDATES):
        update = Update(index, 2 * UPDATES)
        make_update(objective, groups, optimizer, next(batches), update, recipe)
    preference = objective.expected_bits()
    assert preference is not None
    return {
        "plan": [precision.bits for precision in objective.hard_plan().values()],
        "preference": list(preference.values()),
    }


@torch.no_grad()
def _costs(recipe: Recipe) -> dict[str, Any]:
    objective, speech = _objective(recipe)
    recogniser, supernet = objective.recogniser, objective.supernet
    recogniser.model.eval()
    names = list(supernet.layers)
    cost = np.zeros(len(names))
    batches = speech.batches(recipe.replaced({"seed": 99}), 0)
    for _ in range(COST_BATCHES):
        batch = next(batches)
        features = recogniser.features(batch.waveforms)
        reference = _divergence(objective, features, batch.ids, [4] * len(names))
        for index in range(len(names)):
            bits = [2 if index == other else 4 for other in range(len(names))]
            divergence = _divergence(objective, features, batch.ids, bits)
            cost[index] += (divergence - reference) / COST_BATCHES
    sizes = [rows * columns for rows, columns in supernet.shapes.values()]
    return {"cost": cost.tolist(), "sizes": sizes, "layers": names}


def _divergence(
    objective: JointObjective, features: Any, ids: Sequence[str], bits: Sequence[int]
) -> float:
    assert objective.teacher is not None
    step = objective.supernet.quantize(plan=objective.supernet.plan(bits))
    with step.running(PLAN):
        logits = objective.recogniser.logits(features)
    teacher = objective.teacher.log_probabilities(ids, logits.device)
    length = teacher.shape[1]
    mask = features.frame_mask[:, :length]
    return kl_divergence(teacher, logits[:, :length], mask).item()


if __name__ == "__main__":
    main()
