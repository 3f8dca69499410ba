"""How much each layer suffers at each width, measured layer by layer: the first of two stages.

xu2025's baselines M train the uniform models first, choose a plan from such measures, and train
that plan from the start point. Which measure xu2025's rows use is open; here are those of the cited
works (arXiv 2111.14479, 2112.11438). Each gives costs, [layers, candidates], that add up over
layers.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from sottovoce.config.recipe import Recipe
from sottovoce.models.recogniser import Recogniser
from sottovoce.sensitivity.importance import Importance, anneal, gumbel_softmax
from sottovoce.training.batch import Batch
from sottovoce.training.losses import kl_divergence

Matrices = Mapping[float, Mapping[str, Tensor]]
"""Width -> layer -> its quantized weight in the uniform model of that width, [rows, columns]."""

_STEP = 1e-3
"""Of the finite differences, in units of a layer's root mean square weight."""

_NAS_ROUNDS = 10
"""How often an architecture search passes over its batches."""


@torch.no_grad()
def kl_costs(
    recogniser: Recogniser,
    matrices: Matrices,
    batches: Sequence[Batch],
    recipe: Recipe,  # noqa: ARG001
) -> np.ndarray:
    """KL(full precision || the same with this layer alone quantized), nats a frame.

    Costs layers x candidates forward passes a batch.

    Args:
        recogniser: the full-precision start point; in eval mode meanwhile, unchanged at the end.
        recipe: takes no part.
    """
    costs = np.zeros((len(_layers(matrices)), len(matrices)))
    with recogniser.evaluating():
        for batch in batches:
            features = recogniser.features(batch.waveforms, batch.targets)
            reference = recogniser.logits(features)
            for row, layer in enumerate(_layers(matrices)):
                for column, own in enumerate(matrices.values()):
                    with _replaced(recogniser, {layer: own[layer]}):
                        logits = recogniser.logits(features)
                    divergence = kl_divergence(reference, logits, features.position_mask(logits))
                    costs[row, column] += divergence.item() / len(batches)
    return costs


def hessian_costs(
    recogniser: Recogniser, matrices: Matrices, batches: Sequence[Batch], recipe: Recipe
) -> np.ndarray:
    """Tr(H_l) * ||Q(W'_l) - W_l||^2, H_l the CTC loss's Hessian by the layer's weight W_l.

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
        for row, layer in enumerate(layers):
            weight = recogniser.model.get_submodule(layer).weight.flatten(1)
            for column, own in enumerate(matrices.values()):
                errors[row, column] = (own[layer] - weight).square().sum().item()
    return np.maximum(traces, 0.0)[:, None] * errors


def hessian_traces(
    recogniser: Recogniser, layers: Sequence[str], batches: Sequence[Batch], seed: int
) -> np.ndarray:
    """Hutchinson's estimate v'Hv of each layer's trace, [layers].

    One draw of v = +-1 a batch serves all layers at once: what the others add has mean zero. CTC
    has no second derivative in PyTorch, so Hv is a central difference of gradients.
    """
    weights = {layer: recogniser.model.get_submodule(layer).weight.flatten(1) for layer in layers}
    steps = {layer: _STEP * one.detach().square().mean().sqrt() for layer, one in weights.items()}
    generator = torch.Generator().manual_seed(seed)
    traces = np.zeros(len(layers))
    with recogniser.evaluating():
        for batch in batches:
            draws = {layer: _signs(weight, generator) for layer, weight in weights.items()}
            ahead, behind = (
                _gradients_of(
                    recogniser,
                    batch,
                    {n: one.detach() + sign * steps[n] * draws[n] for n, one in weights.items()},
                )
                for sign in (1, -1)
            )
            for row, layer in enumerate(layers):
                bent = (ahead[layer] - behind[layer]) / (2 * steps[layer])
                traces[row] += (bent * draws[layer]).sum().item() / len(batches)
    return traces


def nas_costs(
    recogniser: Recogniser, matrices: Matrices, batches: Sequence[Batch], recipe: Recipe
) -> np.ndarray:
    """Less the importance that each width gains by architecture search; no unit.

    A mixed layer computes with sum_i lambda_i W_i, the W_i from separately trained models and
    fixed; lambda is a Gumbel-softmax sample under the size budget, and the CTC loss teaches the
    importances alone (DARTS with Gumbel-softmax, as in arXiv 2111.14479).

    Args:
        recogniser: the start point, which lends all that is not in `matrices`.
        recipe: its size, its temperatures and the importances' learning rate and seed.
    """
    layers = _layers(matrices)
    sizes = [recogniser.model.get_submodule(layer).weight.numel() for layer in layers]
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
                layer: sum(
                    share * own[layer] for share, own in zip(row, matrices.values(), strict=True)
                )
                for layer, row in zip(layers, shares.detach(), strict=True)
            }
            found = _gradients_of(recogniser, batches[index % len(batches)], mixed)
            of_shares = torch.tensor(
                [[(found[n] * own[n]).sum() for own in matrices.values()] for n in layers]
            )
            optimizer.zero_grad()
            (shares * of_shares.to(shares)).sum().backward()
            optimizer.step()
    return -importance.learnt.detach().cpu().numpy().astype(np.float64)


MEASURES = {"kl": kl_costs, "hessian": hessian_costs, "nas": nas_costs}


def _gradients_of(
    recogniser: Recogniser, batch: Batch, moved: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The task loss's gradients by some matrices where they have moved to, [rows, columns] each."""
    weights = {layer: recogniser.model.get_submodule(layer).weight for layer in moved}
    with _replaced(recogniser, moved):
        with torch.no_grad():
            features = recogniser.features(batch.waveforms, batch.targets)
        loss = recogniser.head.task_loss(recogniser.logits(features), features)
        found = torch.autograd.grad(loss, list(weights.values()))
    return {layer: one.flatten(1) for layer, one in zip(weights, found, strict=True)}


def _signs(weight: Tensor, generator: torch.Generator) -> Tensor:
    return (torch.randint(0, 2, weight.shape, generator=generator) * 2.0 - 1).to(weight)


def _layers(matrices: Matrices) -> list[str]:
    return list(next(iter(matrices.values())))


@contextmanager
def _replaced(recogniser: Recogniser, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, some layers have other weights, given as [rows, columns]."""
    layers = {name: recogniser.model.get_submodule(name) for name in weights}
    before = {name: layer.weight.data for name, layer in layers.items()}
    for name, layer in layers.items():
        layer.weight.data = weights[name].to(before[name]).view_as(before[name])
    try:
        yield
    finally:
        for name, layer in layers.items():
            layer.weight.data = before[name]
