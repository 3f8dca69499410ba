"""From the weights of a matrix to numbers of its groups: sums, means, extremes."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from sottovoce.quantization.grouping import Grouping

SUM = partial(torch.sum, dim=-1)
"""Of the members of a group, as `reduce_groups` takes it."""


def reduce_groups(
    grouping: Grouping, operation: Callable[..., Tensor], *matrices: Tensor
) -> Tensor:
    """One number for each group, of `grouping.shape`.

    Args:
        operation: reduces the last dimension of as many tensors as there are matrices.
        matrices: [rows, columns].
    """
    lines = [one.reshape(1, -1) for one in matrices] if grouping.whole else matrices
    return reduce_rows(grouping, operation, *lines)


def reduce_rows(grouping: Grouping, operation: Callable[..., Tensor], *matrices: Tensor) -> Tensor:
    """As `reduce_groups`, but each row for itself: [rows, 1] for the whole tensor."""
    columns = matrices[0].shape[1]
    width = grouping.width(columns)
    full = columns - columns % width
    parts = [[one[:, :full].unflatten(1, (-1, width)) for one in matrices]]
    if full < columns:
        parts.append([one[:, full:].unsqueeze(1) for one in matrices])
    found = [operation(*part) for part in parts]
    return found[0] if len(found) == 1 else torch.cat(found, dim=1)
