"""Plans to hold a learnt one against, of the reference recogniser's encoder matrices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sottovoce.config.recipe import Recipe
from sottovoce.loading import load_checkpoint
from sottovoce.quantization.plan import Plan
from sottovoce.quantization.ranges import initial_affine, rounding_error
from sottovoce.sensitivity.allocation import best_allocation

BITS = 3.0
"""The budget of every plan, bits a weight."""


def layer_sizes(checkpoint: Path) -> dict[str, int]:
    """Weights of each encoder matrix."""
    recogniser = load_checkpoint(checkpoint)
    shapes = recogniser.family.shapes(recogniser.model)
    return {name: rows * columns for name, (rows, columns) in shapes.items()}


def random_plan(checkpoint: Path, recipe: Recipe, seed: int) -> tuple[float, ...]:
    """A plan within the budget, whatever the layers hold."""
    sizes = list(layer_sizes(checkpoint).values())
    scores = np.random.default_rng(seed).standard_normal((len(sizes), len(recipe.widths)))
    return best_allocation(scores, sizes, recipe.widths, BITS).bits


def least_squares_plan(checkpoint: Path, recipe: Recipe) -> tuple[float, ...]:
    """The plan within the budget whose rounded weights are nearest to the start point's."""
    recogniser, scores = load_checkpoint(checkpoint), []
    for matrix in recogniser.family.encoder_matrices(recogniser.model):
        weight = recogniser.model.get_submodule(matrix.name).weight.detach()
        errors = []
        for precision in recipe.precisions.values():
            quantizer = precision.quantizer
            affine = initial_affine(weight, quantizer, "mse")
            errors.append(rounding_error(weight, quantizer, affine, "mse").sum().item())
        scores.append([-error for error in errors])
    sizes = list(layer_sizes(checkpoint).values())
    return best_allocation(np.array(scores), sizes, recipe.widths, BITS).bits


def plan_of(checkpoint: Path, recipe: Recipe, bits: Sequence[float]) -> Plan:
    """A plan of as many bits, layer by layer."""
    precisions = [recipe.precisions[width] for width in bits]
    return Plan(dict(zip(layer_sizes(checkpoint), precisions, strict=True)))
