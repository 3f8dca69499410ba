"""From scores or costs to a plan: the best choice of widths that fits a size, exactly."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np

from sottovoce.quantization.plan import mean_bits, tenths

TOLERANCE_BITS = 0.05
_MOST_UNITS = 20_000


@dataclass(frozen=True)
class Choice:
    """One width for each group, and the mean bits of a weight that follow."""

    bits: tuple[float, ...]
    mean_bits: float


def best_allocation(
    scores: np.ndarray, weights: Sequence[int], candidates: Sequence[float], budget: float
) -> Choice:
    """The widths of the largest total score whose mean bits lie in (budget - 0.05, budget].

    A multiple-choice knapsack, solved exactly by dynamic programming over sizes; where the sizes
    have no common measure above 1/20,000 of the range, over sizes that are rounded up, and then
    improved group by group. Where no choice comes within 0.05 bits (few, large groups), the nearest
    size below the budget is taken.

    Args:
        scores: [groups, candidates].
        weights: weights in each group.
        candidates: the widths, in the order of the columns.
        budget: mean bits of a weight, at least the least candidate.
    """
    total, widths = sum(weights), [tenths(bits) for bits in candidates]
    least = min(widths)
    # Sizes are counted above the least candidate's, which always fits.
    unit = gcd(*(weight * (width - least) for weight in weights for width in widths))
    unit = max(unit, 1, -(-total * (max(widths) - least) // _MOST_UNITS))
    # They round up, so that a choice that fits in units fits in weights.
    sizes = np.array([[-(-w * (width - least) // unit) for width in widths] for w in weights])
    capacity = int((10 * budget - least) * total / unit + 1e-9)

    best = np.full(capacity + 1, -np.inf)
    best[0] = 0.0
    taken = np.zeros((len(weights), capacity + 1), dtype=np.int8)
    for group, (row, costs) in enumerate(zip(scores, sizes, strict=True)):
        extended = np.full_like(best, -np.inf)
        for index, (score, cost) in enumerate(zip(row, costs, strict=True)):
            if cost > capacity:
                continue
            moved = best[: capacity + 1 - cost] + score
            better = moved > extended[cost:]
            extended[cost:][better] = moved[better]
            taken[group, cost:][better] = index
        best = extended

    reachable = np.flatnonzero(np.isfinite(best))
    nearest = int(reachable[-1])
    wanted = int(np.ceil((10 * (budget - TOLERANCE_BITS) - least) * total / unit))
    lowest = max(0, min(nearest, wanted))
    size = lowest + int(np.argmax(best[lowest : capacity + 1]))
    picked = []
    for group in reversed(range(len(weights))):
        picked.append(int(taken[group, size]))
        size -= int(sizes[group, picked[-1]])
    exact = np.array([[weight * (width - least) for width in widths] for weight in weights])
    room = (10 * budget - least) * total + 1e-6
    wish = min(room, (10 * (budget - TOLERANCE_BITS) - least) * total)
    picked = _improved(picked[::-1], scores, exact, room, wish)
    bits = tuple(candidates[index] for index in picked)
    return Choice(bits, mean_bits(weights, bits))


def cheapest_widths(
    costs: np.ndarray,
    sizes: Sequence[int],
    candidates: Sequence[float],
    budget: float,
    groups: Sequence[int] | None = None,
) -> list[float]:
    """Return each layer's width in the plan of least total cost within the budget.

    Args:
        costs: [layers, candidates], which add up over layers.
        sizes: weights in each layer.
        candidates: the widths, in the order of the columns.
        budget: mean bits of a weight, at least the least candidate.
        groups: of each layer, counted from 0; layers of one group share a width and add their
            costs. None gives each layer a width of its own.
    """
    if groups is None:
        groups = range(len(sizes))
    count = max(groups) + 1
    group_costs, group_sizes = np.zeros((count, len(candidates))), np.zeros(count, dtype=int)
    np.add.at(group_costs, list(groups), costs)
    np.add.at(group_sizes, list(groups), sizes)
    choice = best_allocation(-group_costs, group_sizes.tolist(), candidates, budget)
    return [choice.bits[group] for group in groups]


def _improved(
    picked: list[int], scores: np.ndarray, sizes: np.ndarray, room: float, wish: float
) -> list[int]:
    """Change single widths while a change fits `room` and raises the score, or comes nearer to
    `wish` where the size is below it; the most valuable first."""
    groups = np.arange(len(picked))
    while True:
        gains = scores - scores[groups, picked][:, None]
        size = sizes[groups, picked].sum()
        moved = size + sizes - sizes[groups, picked][:, None]
        better = (gains > 0) & (moved >= min(size, wish))
        nearer = (moved > size) & (size < wish)
        allowed = (moved <= room) & (better | nearer)
        if not allowed.any():
            return picked
        group, choice = np.unravel_index(np.where(allowed, gains, -np.inf).argmax(), gains.shape)
        picked[group] = int(choice)
