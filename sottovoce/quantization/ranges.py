"""Where scales and offsets start: LSQ's rule, the largest weight, or the least error."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from sottovoce.quantization.affine import Affine
from sottovoce.quantization.quantizer import Quantizer
from sottovoce.quantization.reduction import SUM, reduce_groups

_ERRORS: dict[str, Callable[[Tensor], Tensor]] = {"mse": torch.square, "l1": torch.abs}
_MEAN, _GREATEST, _LEAST = (
    partial(operation, dim=-1) for operation in (torch.mean, torch.amax, torch.amin)
)
_CLIPPING = torch.logspace(0.0, -2.0, 64)
_OF_CONSTANTS = 2.0**-20


def initial_affine(weight: Tensor, quantizer: Quantizer, rule: str) -> Affine:
    """The scales and offsets to start learning from, each group's by its own weights.

    - ``max``: the largest weight falls on the grid's last level; with an offset, which is then the
      middle of the range, the least one falls on the first. Nothing is clipped.
    - ``lsq``: s = 2 mean|w| / sqrt(largest), as LSQ (arXiv 1902.08153, section 2.1); an offset is
      the mean, and w is counted from there. At 8 bits it clips nothing but wastes most of the
      range.
    - ``mse``, ``l1``: of 64 clippings of the `max` range, 1 down to 0.01 in equal ratios, the one
      of least sum (w - w_hat)^2, or of least sum |w - w_hat| (rybakov2023's search; as there, a
      clipping shrinks both ends towards 0). One weight far outside is enough to want 0.03 at 2
      bits.

    Args:
        weight: [rows, columns].

    Returns:
        Of the shape of the quantizer's groups, as they are stored. A group of equal weights gets
        the scale 2^-20: not every grid has a zero, and its levels must not be far from it.

    Raises:
        InputError: they do not fit in what they are stored in.
    """
    weight = weight.detach().float()
    affine = _lsq(weight, quantizer) if rule == "lsq" else _widest(weight, quantizer)
    quantizer.check(affine)
    if rule in _ERRORS:
        return _clipped(weight, quantizer, affine, rule)
    return quantizer.stored(affine)


def rounding_error(weight: Tensor, quantizer: Quantizer, affine: Affine, rule: str) -> Tensor:
    """Sum of (w - w_hat)^2 ("mse") or |w - w_hat| ("l1") of each group."""
    difference = quantizer.rounded(weight, affine).sub_(weight)
    return reduce_groups(quantizer.grouping, SUM, _ERRORS[rule](difference))


def _lsq(weight: Tensor, quantizer: Quantizer) -> Affine:
    grid, grouping = quantizer.grid, quantizer.grouping
    offset = reduce_groups(grouping, _MEAN, weight) if grid.has_offset else None
    around = weight if offset is None else weight - grouping.spread(offset, weight.shape[1])
    return Affine(
        _positive(2 * reduce_groups(grouping, _MEAN, around.abs()) / grid.largest**0.5), offset
    )


def _widest(weight: Tensor, quantizer: Quantizer) -> Affine:
    grid, grouping = quantizer.grid, quantizer.grouping
    if not grid.has_offset:
        return Affine(_positive(reduce_groups(grouping, _GREATEST, weight.abs()) / grid.largest))
    high, low = reduce_groups(grouping, _GREATEST, weight), reduce_groups(grouping, _LEAST, weight)
    return Affine(_positive((high - low) / 2 / grid.largest), (high + low) / 2)


def _clipped(weight: Tensor, quantizer: Quantizer, widest: Affine, rule: str) -> Affine:
    best = quantizer.stored(widest)
    least = rounding_error(weight, quantizer, best, rule)
    for clipping in _CLIPPING.tolist()[1:]:
        offset = None if widest.offset is None else widest.offset * clipping
        tried = quantizer.stored(Affine(widest.scale * clipping, offset))
        error = rounding_error(weight, quantizer, tried, rule)
        better = error < least
        best = _chosen(better, tried, best)
        least = torch.minimum(error, least)
    return best


def _chosen(where: Tensor, chosen: Affine, otherwise: Affine) -> Affine:
    offsets = None
    if chosen.offset is not None and otherwise.offset is not None:
        offsets = torch.where(where, chosen.offset, otherwise.offset)
    return Affine(torch.where(where, chosen.scale, otherwise.scale), offsets)


def _positive(scale: Tensor) -> Tensor:
    return torch.where(scale > 0, scale, _OF_CONSTANTS)
