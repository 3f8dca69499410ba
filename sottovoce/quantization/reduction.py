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
    lines = [matrix.reshape(1, -1) for matrix in matrices] if grouping.whole else matrices
    return reduce_rows(grouping, operation, *lines)


def reduce_rows(grouping: Grouping, operation: Callable[..., Tensor], *matrices: Tensor) -> Tensor:
    """Reduce groups as `reduce_groups`, but each row for itself: [rows, 1] for the whole tensor."""
    columns = matrices[0].shape[1]
    width = grouping.width(columns)
    full = columns - columns % width
    parts = [[matrix[:, :full].unflatten(1, (-1, width)) for matrix in matrices]]
    if full < columns:
        parts.append([matrix[:, full:].unsqueeze(1) for matrix in matrices])
    reduced = [operation(*part) for part in parts]
    return reduced[0] if len(reduced) == 1 else torch.cat(reduced, dim=1)
