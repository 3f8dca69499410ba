"""Rows compared, run against run and recipe against recipe."""

import pytest

from sottovoce.reproduction.pair_tests import PairTest, compare_means, compare_pair
from sottovoce.reproduction.pairs import Pair
from sottovoce.scoring import Score, Transcripts, matched_pairs, score


def misheard(wrong: set[int], utterances: int = 100) -> Score:
    """One word an utterance; those in `wrong` are misrecognised."""

    def said(word: str, changed: str) -> dict[str, tuple[str, tuple[str, ...]]]:
        return {
            f"a-{one:03}": ("a", (changed if one in wrong else word,)) for one in range(utterances)
        }

    return score(Transcripts("reference", said("yes", "yes")), Transcripts("h", said("yes", "no")))


START = set(range(40))


def test_two_runs_are_compared_as_two_models_are() -> None:
    scores = {"a": misheard(set(range(50))), "b": misheard(START)}
    pair = Pair(claim="a helps", expected="better", candidate=("a",), baseline=("b",))
    found, expected = compare_pair(pair, scores), matched_pairs(scores["b"], scores["a"])
    assert (found.verdict, found.p, found.detectable, found.interval) == (
        expected.verdict,
        expected.p,
        expected.detectable,
        expected.interval,
    )
    assert found.wer == ((0.5,), (0.4,))
    assert (found.verdict, found.outcome, found.pair) == ("worse", "lost", pair)


def test_the_luck_of_seeds_evens_out_over_a_recipe() -> None:
    """Each seed differs from the start elsewhere, so that the mean varies less than any of them."""
    seeds = [
        misheard(START ^ {2 * seed, 2 * seed + 1, 50 + 2 * seed, 51 + 2 * seed})
        for seed in range(3)
    ]
    one, all_three = (
        compare_means(seeds[:1], [misheard(START)]),
        compare_means(seeds, [misheard(START)]),
    )
    assert one.verdict == "inconclusive"
    assert one.detectable is not None and all_three.detectable is not None
    assert one.detectable > 0.1 > all_three.detectable
    assert all_three.verdict == "lossless"
    assert all_three.interval is not None
    assert all_three.interval[0] == pytest.approx(-all_three.interval[1])


def test_a_recipe_is_worse_or_better_where_the_mean_differs() -> None:
    seeds, start = [misheard(set(range(50 + seed))) for seed in range(2)], [misheard(START)]
    worse, better = compare_means(seeds, start), compare_means(start, seeds)
    assert worse.p == better.p < 0.05
    assert (worse.verdict, better.verdict) == ("worse", "better")
    assert worse.interval is not None and better.interval is not None
    assert worse.interval[0] > 0 > better.interval[1]


@pytest.mark.parametrize(
    ("candidate", "baseline", "utterances"),
    [(START, START, 100), (START, set(), 100), (set(range(9)), set(range(3)), 20)],
    ids=["alike", "no error", "few utterances"],
)
def test_means_that_nothing_can_be_told_of_are_inconclusive(
    candidate: set[int], baseline: set[int], utterances: int
) -> None:
    first, second = misheard(candidate, utterances), misheard(baseline, utterances)
    found = compare_means([first, first], [second, second])
    assert (found.verdict, found.p, found.detectable, found.interval) == (
        "inconclusive",
        1.0,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("expected", "verdict", "outcome"),
    [
        ("better", "better", "won"),
        ("better", "lossless", "not shown"),
        ("better", "inconclusive", "not shown"),
        ("better", "worse", "lost"),
        ("no_worse", "better", "won"),
        ("no_worse", "lossless", "won"),
        ("no_worse", "inconclusive", "not shown"),
        ("no_worse", "worse", "lost"),
    ],
)
def test_what_a_verdict_makes_of_a_claim(expected: str, verdict: str, outcome: str) -> None:
    test = PairTest.from_json(
        {
            "claim": "c",
            "expected": expected,
            "candidate": ["a"],
            "baseline": ["b"],
            "wer": [[0.1], [0.2]],
            "verdict": verdict,
            "p": 0.5,
            "detectable": 0.1,
            "interval": [-0.1, 0.1],
        }
    )
    assert test.outcome == outcome
    assert PairTest.from_json(test.to_json()) == test
