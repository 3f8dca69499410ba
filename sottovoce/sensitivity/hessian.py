"""Sensitivity by curvature: the trace of each layer's Hessian times its squared rounding error.

As in arXiv 2111.14479 and 2112.11438.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sottovoce.models.recogniser import Recogniser
from sottovoce.sensitivity.gradients import gradients_at
from sottovoce.training.batch import Batch

_STEP = 1e-3
"""Of the finite differences, in units of a layer's root mean square weight."""


def hessian_traces(
    recogniser: Recogniser, layers: Sequence[str], batches: Sequence[Batch], seed: int
) -> np.ndarray:
    """Estimate the trace of the task loss's Hessian by each layer's weight (Hutchinson), [layers].

    The estimate is the mean of v'Hv. One draw of v = +-1 a batch serves all layers at once: what
    the other layers add has mean zero. Not every task loss has a second derivative in PyTorch, so
    Hv is a central difference of gradients.
    """
    weights = {
        name: recogniser.model.get_submodule(name).weight.flatten(1).detach() for name in layers
    }
    steps = {name: _STEP * weight.square().mean().sqrt() for name, weight in weights.items()}
    generator = torch.Generator().manual_seed(seed)
    traces = np.zeros(len(layers))
    with recogniser.evaluating():
        for batch in batches:
            draws = {name: _signs(weight, generator) for name, weight in weights.items()}
            ahead, behind = (
                gradients_at(
                    recogniser,
                    batch,
                    {name: weights[name] + sign * steps[name] * draws[name] for name in layers},
                )
                for sign in (1, -1)
            )
            for row, name in enumerate(layers):
                product = (ahead[name] - behind[name]) / (2 * steps[name])
                traces[row] += (product * draws[name]).sum().item() / len(batches)
    return traces


def _signs(weight: Tensor, generator: torch.Generator) -> Tensor:
    return (torch.randint(0, 2, weight.shape, generator=generator) * 2.0 - 1).to(weight)
