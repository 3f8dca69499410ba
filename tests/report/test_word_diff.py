import pytest

from sottovoce.report.word_diff import Column, columns_of


def test_insertions_of_both_systems_at_one_place_share_columns():
    before = (("a", "a"), (None, "x"), ("b", "b"))
    after = (("a", "a"), (None, "y"), (None, "z"), ("b", None))
    assert columns_of(before, after) == (
        Column("a", "a", "a"),
        Column(None, "x", "y"),
        Column(None, None, "z"),
        Column("b", "b", None),
    )


def test_insertions_at_both_ends_are_kept():
    assert columns_of(((None, "x"), ("a", "a")), (("a", "b"), (None, "y"))) == (
        Column(None, "x", None),
        Column("a", "a", "b"),
        Column(None, None, "y"),
    )


def test_an_empty_reference_has_only_insertions():
    assert columns_of((), ((None, "x"),)) == (Column(None, None, "x"),)


def test_alignments_to_references_of_different_length_do_not_merge():
    with pytest.raises(ValueError, match="longer"):
        columns_of((("a", "a"),), (("a", "a"), ("b", "b")))
