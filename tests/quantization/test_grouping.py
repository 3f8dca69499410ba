import pytest
import torch
from torch import Tensor

from sottovoce.quantization.grouping import Grouping
from sottovoce.quantization.reduction import reduce_groups

ROWS = 3
CASES = [
    (Grouping(whole=True), 10, [[(0, 10)]]),
    (Grouping(), 10, [[(0, 10)]]),
    (Grouping(block=5), 10, [[(0, 5)], [(5, 10)]]),
    (Grouping(block=4), 10, [[(0, 4)], [(4, 8)], [(8, 10)]]),
    (Grouping(block=1), 3, [[(0, 1)], [(1, 2)], [(2, 3)]]),
    (Grouping(block=10), 10, [[(0, 10)]]),
    (Grouping(block=7), 3, [[(0, 3)]]),
]


def _groups(grouping: Grouping, matrix: Tensor, spans: list[list[tuple[int, int]]]) -> list[Tensor]:
    """The members of each group, row after row."""
    if grouping.whole:
        return [matrix.flatten()]
    return [row[low:high] for row in matrix for ((low, high),) in spans]


@pytest.mark.parametrize(("grouping", "columns", "spans"), CASES)
def test_each_group_is_reduced_by_itself(
    grouping: Grouping, columns: int, spans: list[list[tuple[int, int]]]
) -> None:
    matrix = torch.randn(ROWS, columns)
    groups = _groups(grouping, matrix, spans)
    for operation in (torch.sum, torch.amax, torch.mean):
        found = reduce_groups(grouping, lambda one, do=operation: do(one, dim=-1), matrix)
        assert found.shape == grouping.shape(ROWS, columns)
        expected = torch.stack([operation(group) for group in groups])
        torch.testing.assert_close(found.flatten(), expected)


@pytest.mark.parametrize(("grouping", "columns", "spans"), CASES)
def test_two_matrices_are_reduced_together(
    grouping: Grouping, columns: int, spans: list[list[tuple[int, int]]]
) -> None:
    one, other = torch.randn(2, ROWS, columns)
    pairs = zip(_groups(grouping, one, spans), _groups(grouping, other, spans), strict=True)
    found = reduce_groups(grouping, torch.linalg.vecdot, one, other)
    torch.testing.assert_close(found.flatten(), torch.stack([a @ b for a, b in pairs]))


@pytest.mark.parametrize(("grouping", "columns", "spans"), CASES)
def test_numbers_reach_their_own_group_and_no_other(
    grouping: Grouping, columns: int, spans: list[list[tuple[int, int]]]
) -> None:
    numbers = torch.arange(1.0, 1 + torch.Size(grouping.shape(ROWS, columns)).numel())
    numbers = numbers.view(grouping.shape(ROWS, columns))
    full = grouping.spread(numbers, columns).expand(ROWS, columns)
    for number, members in zip(numbers.flatten(), _groups(grouping, full, spans), strict=True):
        assert bool((members == number).all())


@pytest.mark.parametrize("block", [10, 11, 10_000])
def test_a_block_as_long_as_a_row_is_the_channel(block: int) -> None:
    matrix = torch.randn(ROWS, 10)
    long, channel = Grouping(block=block), Grouping()
    assert long.shape(ROWS, 10) == channel.shape(ROWS, 10) == (ROWS, 1)
    found = [reduce_groups(one, lambda rows: rows.sum(-1), matrix) for one in (long, channel)]
    assert torch.equal(*found)
