"""The first of two stages: uniform models, then a plan by how sensitive each layer is (xu2025, M).

The second stage trains that plan from the start point, as any given plan is trained.
"""

import json
from dataclasses import asdict
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sottovoce.commands.stages import Context
from sottovoce.config.recipe import Recipe
from sottovoce.files import read_json, write_text
from sottovoce.models.recogniser import Recogniser
from sottovoce.quantization.plan import Plan
from sottovoce.search.joint import JointObjective
from sottovoce.search.supernet import width_groups
from sottovoce.sensitivity.allocation import cheapest_widths
from sottovoce.sensitivity.measures import MEASURES
from sottovoce.training.distributed import is_main_process, wait_for_everyone
from sottovoce.training.timing import Spent, stopwatch
from sottovoce.wording import plural

_COSTS = "costs.json"


def sensitive_plan(start: Recogniser, recipe: Recipe, context: Context) -> tuple[Plan, Spent]:
    """The plan of least total cost within the size, after training each candidate uniformly.

    `start`, the start point, stays as it is. Each uniform model is trained as the plan will be,
    but without a teacher: same updates, data and options. What is finished is kept in the run's
    folder, and found again when the run resumes.

    Returns:
        The plan, and what it took, interruptions excluded.
    """
    console, stages = context.console, context.stages
    costs_file = stages.work.path / _COSTS
    if not costs_file.exists():
        matrices, spent = {}, Spent()
        for bits, candidate in zip(recipe.widths, recipe.candidates, strict=True):
            console.print(f"uniform {plural(bits, 'bit')}")
            alone = recipe.replaced({**_alone(recipe), "candidates": (candidate,), "bits": bits})
            objective = JointObjective(start.copy(), alone, context.accelerator, context.teacher)
            history = context.train(objective, alone, stages.uniform(alone))
            spent += Spent.of(history[-1])
            matrices[bits] = _quantized(objective, bits)
        console.print(f"sensitivity: {recipe.plan_by}")
        measuring = stopwatch(context.accelerator.device, spent)
        whole = context.speech.batches(recipe, 0, whole=True)
        batches = list(islice(whole, recipe.sensitivity_batches))
        costs = MEASURES[recipe.plan_by](start, matrices, batches, recipe)
        if is_main_process():
            write_text(costs_file, json.dumps({"costs": costs.tolist(), **asdict(measuring())}))
    wait_for_everyone()
    measured = read_json(costs_file)
    spent = Spent(measured["seconds"], measured.get("cpu_seconds"))
    return _cheapest(start, recipe, np.array(measured["costs"])), spent


def _alone(recipe: Recipe) -> dict[str, Any]:
    """xu2025's uniform models learn from transcripts alone: the hours of its rows with KL leave no
    room for more. Where there are no transcripts, there is nothing but the teacher."""
    plain = {"plan_by": "joint", "students": "none"}
    one_pass = {"finetune": "none", "kl_finetune": 0.0, "students_finetune": "none"}
    untaught = {"teacher": "none", "kl_frozen": 0.0}
    return plain | one_pass | ({} if recipe.unlabelled else untaught)


@torch.no_grad()
def _quantized(objective: JointObjective, bits: float) -> dict[str, Tensor]:
    layers = objective.supernet.layers
    return {name: layer.quantized((bits,))[0].clone() for name, layer in layers.items()}


def _cheapest(start: Recogniser, recipe: Recipe, costs: np.ndarray) -> Plan:
    """The exact minimum; layers that share a width (search granularity) share their costs."""
    if recipe.bits is None:
        raise ValueError("a plan by sensitivity needs a size")
    shapes = start.family.shapes(start.model)
    groups = width_groups(start.family.encoder_matrices(start.model), recipe.search_granularity)
    sizes = [rows * columns for rows, columns in shapes.values()]
    widths = cheapest_widths(costs, sizes, recipe.widths, recipe.bits, groups)
    return Plan({name: recipe.precisions[bits] for name, bits in zip(shapes, widths, strict=True)})
