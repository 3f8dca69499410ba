import pytest

from sottovoce.errors import InputError
from sottovoce.quantization.candidates import granularity_of, precision_of, precisions_of
from sottovoce.quantization.plan import Precision


def _grid(bits: float) -> str:
    return "half" if bits <= 2 else "full"


@pytest.mark.parametrize(
    ("words", "precision"),
    [
        (4, Precision(4, "full", "tensor")),
        ("4", Precision(4, "full", "tensor")),
        (2, Precision(2, "half", "tensor")),
        (1, Precision(1, "half", "tensor")),
        (1.6, Precision(1.6, "half", "tensor")),
        ("2.0/half", Precision(2, "half", "tensor")),
        ("1.6/asymmetric/64", Precision(1.6, "asymmetric", "block", 64)),
        ("2/symmetric", Precision(2, "symmetric", "tensor")),
        ("2/asymmetric/64", Precision(2, "asymmetric", "block", 64)),
        (" 3 / half / channel ", Precision(3, "half", "channel")),
    ],
)
def test_words_say_what_differs(words: float | str, precision: Precision) -> None:
    assert precision_of(words, _grid, "tensor") == precision


def test_candidates_are_in_the_order_of_their_widths() -> None:
    found = precisions_of(("8", "1", 2, "4/half/3", 1.6), _grid, "32", 16)
    assert list(found) == ["1", 1.6, 2, "4/half/3", "8"]
    assert [one.block for one in found.values()] == [32, 32, 32, 3, 32]
    assert {one.scale_bits for one in found.values()} == {16}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "'' is no precision"),
        ("two", "'two' is no precision"),
        ("-2", "'-2' is no precision"),
        (7, r"7 is no precision.*\(1, 1.6, 2, 3, 4, 5, 6, 8\)"),
        ("2.5", "is no precision"),
        ("2/half/64/1", "is no precision"),
        ("2/round", "candidate '2/round': grid is 'round'"),
        ("2//64", "candidate '2//64': grid is ''"),
        ("1/full", "candidate '1/full': the full grid has no levels"),
        ("2/half/0", "'0' cannot share a scale"),
        ("2/half/-8", "'-8' cannot share a scale"),
        ("2/half/6.4", "'6.4' cannot share a scale"),
        ("2/half/row", "'row' cannot share a scale; give tensor, channel or the size of a block"),
    ],
)
def test_what_is_no_precision_is_refused(words: float | str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        precision_of(words, _grid)


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ((), "give at least one"),
        ((2, 4, "2/half"), "have 2 bits twice"),
        (("4", 4), "4 bits twice"),
    ],
)
def test_there_is_one_candidate_a_width(candidates: tuple[float | str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        precisions_of(candidates, _grid)


def test_blocks_are_not_tensors() -> None:
    assert granularity_of("tensor") == ("tensor", None)
    assert granularity_of("64") == granularity_of(64) == ("block", 64)
