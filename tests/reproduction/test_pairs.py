"""Pairs as a table declares them."""

import pytest

from sottovoce.errors import InputError
from sottovoce.reproduction.pairs import Pair, read_pairs

ROWS = ("input", "U1", "a", "b", "a-seed-1", "b-seed-1")


def pair(candidate: tuple[str, ...], baseline: tuple[str, ...], expected: str = "better") -> Pair:
    return Pair(claim="c", expected=expected, candidate=candidate, baseline=baseline)


def test_rows_are_paired_by_place_or_with_one_baseline() -> None:
    each = read_pairs({"claim": "c", "better": ["a", "a-seed-1"], "than": ["b", "b-seed-1"]}, ROWS)
    assert list(each) == [pair(("a",), ("b",)), pair(("a-seed-1",), ("b-seed-1",))]
    one = read_pairs({"claim": "c", "no_worse": ["a", "b"], "than": "input"}, ROWS)
    assert list(one) == [
        pair(("a",), ("input",), "no_worse"),
        pair(("b",), ("input",), "no_worse"),
    ]


def test_seeds_make_one_pair_of_all_runs_and_a_row_with_one_run_stands_alone() -> None:
    seeds = ["", "-seed-1"]
    record = {"claim": "c", "better": "a", "than": ["b"], "seeds": seeds}
    assert list(read_pairs(record, ROWS)) == [pair(("a", "a-seed-1"), ("b", "b-seed-1"))]
    against_input = read_pairs({"claim": "c", "better": "a", "than": "input", "seeds": seeds}, ROWS)
    assert list(against_input) == [pair(("a", "a-seed-1"), ("input",))]


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"better": "a", "than": "b"}, "the claim None"),
        ({"claim": "c", "better": "a"}, "give one of better and no_worse, and than"),
        ({"claim": "c", "better": "a", "no_worse": "a", "than": "b"}, "give one of"),
        ({"claim": "c", "better": ["a"], "than": ["b", "U1"]}, "has 1 rows and than 2"),
        ({"claim": "c", "better": "z", "than": "b"}, "the table runs no row 'z'"),
        ({"claim": "c", "better": "a", "than": "b", "seeds": ["", "-seed-1", "-2"]}, "'a-2'"),
        ({"claim": "c", "better": "a", "than": "b", "seed": [""]}, "'seed' is unknown"),
        ({"claim": "c", "better": [3], "than": "b"}, "one or several strings"),
        ({"claim": "c", "better": [], "than": "b"}, "one or several strings"),
    ],
)
def test_what_cannot_be_paired_is_refused(record: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        list(read_pairs(record, ROWS))
