"""The alignment: hand-made cases, and its error counts beside jiwer's."""

import random

import jiwer
import pytest

from sottovoce.scoring import align


@pytest.mark.parametrize(
    ("reference", "hypothesis", "pairs"),
    [
        ("a b", "a b", [("a", "a"), ("b", "b")]),
        ("a b", "a c", [("a", "a"), ("b", "c")]),
        ("a b", "", [("a", None), ("b", None)]),
        ("", "a b", [(None, "a"), (None, "b")]),
        ("", "", []),
        ("a", "b a c", [(None, "b"), ("a", "a"), (None, "c")]),
        ("a", "a a", [(None, "a"), ("a", "a")]),
        ("a b", "b c", [("a", None), ("b", "b"), (None, "c")]),
    ],
)
def test_pairs(reference: str, hypothesis: str, pairs: list[tuple[str | None, str | None]]) -> None:
    assert list(align(reference.split(), hypothesis.split()).pairs) == pairs


def test_counts() -> None:
    found = align(
        ["the", "cat", "sat", "on", "the", "mat"], ["a", "cat", "on", "the", "mat", "today"]
    )
    counts = (found.substitutions, found.deletions, found.insertions)
    assert counts == (1, 1, 1)
    assert found.errors == 3
    assert found.reference_words == 6


def test_words_are_compared_as_they_stand() -> None:
    assert align(["Straße"], ["straße"]).errors == 1


def test_the_documented_difference_from_unit_costs() -> None:
    """Three substitutions and a deletion, or three deletions and two insertions: both cost 15."""
    reference, hypothesis = "b b b d c", "d c a d"
    found = align(reference.split(), hypothesis.split())
    assert (found.substitutions, found.deletions, found.insertions) == (0, 3, 2)
    units = jiwer.process_words(reference, hypothesis)
    assert (units.substitutions, units.deletions, units.insertions) == (3, 1, 0)


def test_errors_are_jiwers_at_usual_error_rates() -> None:
    rng = random.Random(0)
    vocabulary = [f"word{number}" for number in range(500)]
    for _ in range(300):
        reference = rng.choices(vocabulary, k=rng.randint(1, 30))
        hypothesis = [
            rng.choice(vocabulary) if rng.random() < 0.1 else word
            for word in reference
            if rng.random() > 0.05
        ]
        units = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
        expected = units.substitutions + units.deletions + units.insertions
        assert align(reference, hypothesis).errors == expected


def test_errors_are_never_fewer_than_jiwers() -> None:
    rng = random.Random(1)
    for _ in range(300):
        reference, hypothesis = (rng.choices("abcd", k=rng.randint(1, 12)) for _ in range(2))
        units = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
        fewest = units.substitutions + units.deletions + units.insertions
        assert fewest <= align(reference, hypothesis).errors <= fewest + 2


def test_an_alignment_holds_every_word_in_order() -> None:
    rng = random.Random(2)
    for _ in range(100):
        reference, hypothesis = (rng.choices("abc", k=rng.randint(0, 15)) for _ in range(2))
        pairs = align(reference, hypothesis).pairs
        assert [word for word, _ in pairs if word is not None] == reference
        assert [word for _, word in pairs if word is not None] == hypothesis
        assert (None, None) not in pairs
