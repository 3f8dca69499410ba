"""The cost of rounding one matrix: each alone, at each candidate width.

Costs add up over layers, so that `allocation` finds the plan of least cost within a size.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
from torch import Tensor

from sottovoce.sensitivity.replacing import Weighted, replaced_weights
from sottovoce.sensitivity.trials import Trial

LayerAndWidth = tuple[str, float]


def rounding_trials(
    layers: Mapping[str, Weighted], rounded: Mapping[str, Mapping[float, Tensor]]
) -> dict[LayerAndWidth, Trial]:
    """A trial for each layer at each width, with that layer alone rounded.

    Args:
        rounded: layer -> width -> its rounded weight; every layer has the same widths.
    """
    return {
        (name, width): Trial(name, partial(replaced_weights, layers, {name: weight}))
        for name, weights in rounded.items()
        for width, weight in weights.items()
    }


def cost_table(costs: Mapping[LayerAndWidth, float]) -> np.ndarray:
    """[layers, candidates], in the order of `rounding_trials`."""
    layers = {name for name, _ in costs}
    return np.array(list(costs.values())).reshape(len(layers), -1)
