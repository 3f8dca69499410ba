"""How much each layer suffers at each width: the first of two stages.

xu2025's baselines M train the uniform models first, choose a plan from such measures, and train
that plan from the start point. Which measure xu2025's rows use is open; here are those of the cited
works (arXiv 2111.14479, 2112.11438). Each gives costs, [layers, candidates], that add up over
layers.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from sottovoce.config.recipe import Recipe
from sottovoce.models.recogniser import Recogniser
from sottovoce.sensitivity.gradients import gradients_at
from sottovoce.sensitivity.hessian import hessian_traces
from sottovoce.sensitivity.importance import Importance, anneal, gumbel_softmax
from sottovoce.sensitivity.rounding import cost_table, rounding_trials
from sottovoce.sensitivity.trials import TriedBatch, divergences
from sottovoce.training.batch import Batch

Matrices = Mapping[float, Mapping[str, Tensor]]
"""Width -> layer -> its quantized weight in the uniform model of that width, [rows, columns]."""

_NAS_ROUNDS = 10
"""How often an architecture search passes over its batches."""


def kl_costs(
    recogniser: Recogniser,
    matrices: Matrices,
    batches: Sequence[Batch],
    recipe: Recipe,  # noqa: ARG001
) -> np.ndarray:
    """KL(full precision || the same with this layer alone quantized), nats a position.

    Every batch counts the same.

    Args:
        recogniser: the full-precision start point; in eval mode meanwhile, unchanged at the end.
        recipe: takes no part.
    """
    names = _layers(matrices)
    layers = {name: recogniser.model.get_submodule(name) for name in names}
    rounded = {
        name: {width: weights[name] for width, weights in matrices.items()} for name in names
    }
    tried = (TriedBatch(recogniser, batch.waveforms, batch.targets) for batch in batches)
    trials = rounding_trials(layers, rounded)
    return cost_table(divergences(recogniser, trials, tried, weight=lambda _: 1.0))


def hessian_costs(
    recogniser: Recogniser, matrices: Matrices, batches: Sequence[Batch], recipe: Recipe
) -> np.ndarray:
    """Tr(H_l) * ||Q(W'_l) - W_l||^2, H_l the task loss's Hessian by the layer's weight W_l.

    W' is of the uniform model, whose training has moved it: what xu2025's two stages put in a
    layer's place is that model's matrix. A negative estimate of a trace counts as zero.

    Args:
        recogniser: the full-precision start point; in eval mode meanwhile, unchanged at the end.
        recipe: its seed draws the vectors of the traces.
    """
    layers = _layers(matrices)
    traces = hessian_traces(recogniser, layers, batches, recipe.seed)
    errors = np.zeros((len(layers), len(matrices)))
    with torch.no_grad():
        for row, name in enumerate(layers):
            weight = recogniser.model.get_submodule(name).weight.flatten(1)
            for column, rounded in enumerate(matrices.values()):
                errors[row, column] = (rounded[name] - weight).square().sum().item()
    return np.maximum(traces, 0.0)[:, None] * errors


def nas_costs(
    recogniser: Recogniser, matrices: Matrices, batches: Sequence[Batch], recipe: Recipe
) -> np.ndarray:
    """Less the importance that each width gains by architecture search; no unit.

    A mixed layer computes with sum_i lambda_i W_i, the W_i from separately trained models and
    fixed; lambda is a Gumbel-softmax sample under the size budget, and the task loss teaches the
    importances alone (DARTS with Gumbel-softmax, as in arXiv 2111.14479).

    Args:
        recogniser: the start point, which lends all that is not in `matrices`.
        recipe: its size, its temperatures and the importances' learning rate and seed.
    """
    layers = _layers(matrices)
    sizes = [recogniser.model.get_submodule(name).weight.numel() for name in layers]
    importance = Importance(sizes, tuple(matrices))
    importance.to(recogniser.device)
    optimizer = torch.optim.Adam(importance.parameters(), recipe.importance_learning_rate)
    generator = torch.Generator().manual_seed(recipe.seed)
    updates = _NAS_ROUNDS * len(batches)
    with recogniser.evaluating():
        for index in range(updates):
            log_probabilities = importance.log_probabilities(recipe.bits)
            temperature = anneal(index / updates, recipe.temperature_start, recipe.temperature_end)
            noise = torch.rand(log_probabilities.shape, generator=generator)
            shares = gumbel_softmax(log_probabilities, temperature, noise.to(recogniser.device))
            mixed = {
                name: sum(
                    share * rounded[name]
                    for share, rounded in zip(row, matrices.values(), strict=True)
                )
                for name, row in zip(layers, shares.detach(), strict=True)
            }
            gradients = gradients_at(recogniser, batches[index % len(batches)], mixed)
            of_shares = torch.tensor(
                [
                    [(gradients[name] * rounded[name]).sum() for rounded in matrices.values()]
                    for name in layers
                ]
            )
            optimizer.zero_grad()
            (shares * of_shares.to(shares)).sum().backward()
            optimizer.step()
    return -importance.learnt.detach().cpu().numpy().astype(np.float64)


MEASURES = {"kl": kl_costs, "hessian": hessian_costs, "nas": nas_costs}


def _layers(matrices: Matrices) -> list[str]:
    return list(next(iter(matrices.values())))
