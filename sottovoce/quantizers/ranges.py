"""Where a scale starts: LSQ's rule, the largest weight, or the least squared error."""

import torch
from torch import Tensor

from sottovoce.quantizers.grids import Grid

RANGES = ("mse", "lsq", "max")
_CLIPPING = torch.logspace(0.0, -2.0, 64)
_OF_ZEROS = 2.0**-20


def initial_scale(weight: Tensor, grid: Grid, granularity: str, rule: str) -> Tensor:
    """The scale to start learning from.

    - ``max``: the largest weight falls on the grid's last level.
    - ``lsq``: s = 2 mean|w| / sqrt(largest), as LSQ (arXiv 1902.08153, section 2.1). At 8 bits it
      clips nothing but wastes most of the range.
    - ``mse``: of 64 clippings of the `max` scale, 1 down to 0.01 in equal ratios, the one of least
      sum (w - w_hat)^2. One weight far outside is enough to want 0.03 at 2 bits.

    Args:
        weight: [rows, columns].
        granularity: "tensor" or "channel".

    Returns:
        Positive scales, [1, 1] or [rows, 1]. A row of zeros gets 2^-20: the `half` grid has no
        zero, and its levels must not be far from it.
    """
    magnitude = weight.detach().float().abs()
    grouped = magnitude if granularity == "channel" else magnitude.reshape(1, -1)
    if rule == "lsq":
        scale = 2 * grouped.mean(1, keepdim=True) / grid.largest**0.5
        return torch.where(scale > 0, scale, _OF_ZEROS)
    largest = grouped.amax(1, keepdim=True) / grid.largest
    largest = torch.where(largest > 0, largest, _OF_ZEROS)
    return largest if rule == "max" else _least_squares(weight.detach().float(), grid, largest)


def _least_squares(weight: Tensor, grid: Grid, largest: Tensor) -> Tensor:
    best, least = largest, torch.full_like(largest, torch.inf)
    for clipping in _CLIPPING.tolist():
        scale = largest * clipping
        error = squared_error(weight, scale, grid)
        error = error if len(scale) > 1 else error.sum(0, keepdim=True)
        best = torch.where(error < least, scale, best)
        least = torch.minimum(error, least)
    return best


def squared_error(weight: Tensor, scale: Tensor, grid: Grid) -> Tensor:
    """Sum of (w - w_hat)^2 of each row, [rows, 1]."""
    rounded = grid.values(grid.round_to_codes(weight, scale), scale)
    return rounded.sub_(weight).square_().sum(1, keepdim=True)
