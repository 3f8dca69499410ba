import time
from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest

from sottovoce.quantization.plan import STORABLE_BITS
from sottovoce.sensitivity.allocation import TOLERANCE_BITS, best_allocation, cheapest_widths

CANDIDATES = (2, 4, 8)


def _scores(groups: int, candidates: int, seed: int) -> np.ndarray:
    return np.log(np.random.default_rng(seed).dirichlet(np.ones(candidates), groups))


def _score(scores: np.ndarray, candidates: Sequence[int], bits: Sequence[int]) -> float:
    return sum(row[candidates.index(width)] for row, width in zip(scores, bits, strict=True))


def _best_of_all(
    scores: np.ndarray, weights: Sequence[int], candidates: Sequence[int], budget: float
) -> float:
    """The best score within the rules of `best_allocation`'s docstring, by trying every choice."""
    sizes = {
        bits: sum(w * b for w, b in zip(weights, bits, strict=True)) / sum(weights)
        for bits in product(candidates, repeat=len(weights))
    }
    fitting = {bits: size for bits, size in sizes.items() if size <= budget + 1e-9}
    least = min(max(fitting.values()), budget - TOLERANCE_BITS)
    window = [bits for bits, size in fitting.items() if size >= least - 1e-9]
    return max(_score(scores, candidates, bits) for bits in window)


@pytest.mark.parametrize("seed", range(60))
def test_no_choice_is_better(seed: int) -> None:
    random = np.random.default_rng(seed)
    widths = random.choice(STORABLE_BITS, size=random.integers(1, 4), replace=False)
    candidates = tuple(sorted(widths.tolist()))
    groups = int(random.integers(1, 7))
    weights = (random.integers(1, 9, groups) * random.choice([1, 768 * 768])).tolist()
    scores = _scores(groups, len(candidates), seed)
    exact = random.choice(candidates)
    budget = float(random.choice([exact, random.uniform(candidates[0], candidates[-1])]))

    choice = best_allocation(scores, weights, candidates, budget)

    assert choice.mean_bits <= budget + 1e-9
    expected = _best_of_all(scores, weights, candidates, budget)
    assert _score(scores, candidates, choice.bits) == pytest.approx(expected)


def test_widths_follow_the_columns_of_the_scores() -> None:
    scores = np.array([[0.0, -9.0, -9.0], [-9.0, -9.0, 0.0], [-9.0, 0.0, -9.0]])
    assert best_allocation(scores, [1, 1, 1], CANDIDATES, 14 / 3).bits == (2, 8, 4)


@pytest.mark.parametrize("budget", [2.0, 2.03, 3.5, 4.0, 4.6, 7.99, 8.0])
def test_matrices_of_a_base_model_meet_the_budget_within_the_tolerance(budget: float) -> None:
    weights = 12 * [768 * 768] * 4 + 12 * [768 * 3072] * 2
    choice = best_allocation(_scores(len(weights), 3, 0), weights, CANDIDATES, budget)
    assert budget - TOLERANCE_BITS <= choice.mean_bits <= budget


@pytest.mark.parametrize(
    ("budget", "expected"), [(4.0, 4.0), (4.6, 4.0), (3.9, 10 / 3), (7.9, 20 / 3)]
)
def test_a_few_large_groups_take_the_nearest_size_below(budget: float, expected: float) -> None:
    choice = best_allocation(np.array(3 * [[-2.0, -9.0, -0.1]]), [5, 5, 5], CANDIDATES, budget)
    sizes = {sum(bits) / 3 for bits in product(CANDIDATES, repeat=3)}
    assert choice.mean_bits == max(size for size in sizes if size <= budget)
    assert choice.mean_bits == pytest.approx(expected)


@pytest.mark.parametrize("budget", [2.0, 2.01, 2.1, 3.3, 4.0, 6.0, 8.0])
@pytest.mark.parametrize(
    "weights",
    [[10_000_019, *[101] * 50], [*[997] * 200, *[3] * 200], [1_000_003, 999_983, 1_299_709] * 20],
    ids=["one large", "many tiny", "primes"],
)
def test_sizes_without_a_common_divisor_never_exceed_the_budget(
    weights: list[int], budget: float
) -> None:
    scores = np.tile([-9.0, -5.0, 0.0], (len(weights), 1))
    assert best_allocation(scores, weights, CANDIDATES, budget).mean_bits <= budget


@pytest.mark.parametrize("budget", [3.0, 4.6, 7.0])
def test_sizes_without_a_common_divisor_come_near_the_budget(budget: float) -> None:
    weights = [1_000_003, 999_983, 1_299_709] * 20
    choice = best_allocation(_scores(len(weights), 3, 0), weights, CANDIDATES, budget)
    assert choice.mean_bits >= budget - TOLERANCE_BITS


def test_one_candidate_leaves_no_choice() -> None:
    choice = best_allocation(np.zeros((3, 1)), [5, 7, 11], (4,), 4.0)
    assert choice.bits == (4, 4, 4)
    assert choice.mean_bits == 4.0


def test_the_matrices_of_a_large_model_take_a_moment() -> None:
    random = np.random.default_rng(0)
    weights = random.integers(1_000_000, 5_000_000, 288).tolist()
    scores = _scores(len(weights), len(STORABLE_BITS), 0)
    started = time.process_time()
    best_allocation(scores, weights, STORABLE_BITS, 3.7)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("weights", "candidates"),
    [([1_077_761, 1_446_701], (1, 2, 3)), ([1_000_003, 999_983, 1_299_709], (2, 3, 4, 6, 8))],
)
def test_what_fits_exactly_is_taken_whatever_the_sizes(
    weights: list[int], candidates: tuple[int, ...]
) -> None:
    rising = np.tile(np.arange(len(candidates), dtype=float), (len(weights), 1))
    choice = best_allocation(rising, weights, candidates, float(candidates[-1]))
    assert choice.bits == (candidates[-1],) * len(weights)


def test_layers_of_a_group_share_the_width_that_costs_them_least_together() -> None:
    costs = np.array([[9.0, 5.0, 0.0], [1.0, 0.9, 0.0], [0.2, 0.1, 0.0], [3.0, 0.1, 0.0]])
    sizes, groups = [2, 1, 2, 1], [0, 1, 0, 1]
    widths = cheapest_widths(costs, sizes, CANDIDATES, 4.0, groups)
    assert widths[0] == widths[2]
    assert widths[1] == widths[3]
    scores = -np.array([costs[0] + costs[2], costs[1] + costs[3]])
    assert (widths[0], widths[1]) == best_allocation(scores, [4, 2], CANDIDATES, 4.0).bits
    alone = cheapest_widths(costs, sizes, CANDIDATES, 4.0)
    assert tuple(alone) == best_allocation(-costs, sizes, CANDIDATES, 4.0).bits
    assert alone != widths
