"""Fake quantization that trains: straight-through weights, learnt scales, mixed candidates.

One fused operation quantizes a weight at several widths and mixes the results,

    w_i = s_i * (q_i + shift_i)          w_mixed = sum_i lambda_i * w_i          (P1, eq. 1)

so that a mixed layer costs one matrix product. Only the weight, the scales and lambda are kept for
the backward pass, which quantizes again instead of storing each candidate's codes and masks. On a
CPU both passes walk the weight in blocks that stay in cache: eager PyTorch spends its time
on memory, and this is where it is saved.

Gradients, for g = dL/dw_i (LSQ, arXiv 1902.08153, eqs. 3 and 5):

    dL/dw        = sum_i g_i           where w lies between the grid's ends, else 0
    dL/ds_i      = sum g_i * (q_i - w/s_i + shift_i), or g_i * (end + shift_i) outside,
                   times 1 / sqrt(N * largest), N the weights that share the scale
    dL/dlambda_i = <dL/dw_mixed, w_i>

For the `half` grid `largest` is (2^b - 1) / 2, its last level, where LSQ has its last code.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sottovoce.quantizers.grids import Grid

_BLOCK_WEIGHTS = 2**18


@dataclass(frozen=True)
class Candidates:
    """Which candidates are wanted of a weight.

    Attributes:
        grids: one for each candidate.
        alone: indices of the candidates whose own quantized weight is returned.
        mixed: whether the mixture is returned too.
    """

    grids: tuple[Grid, ...]
    alone: tuple[int, ...] = ()
    mixed: bool = False


def fake_quantize(weight: Tensor, scale: Tensor, grid: Grid) -> Tensor:
    """One candidate: the weight as the packed model will have it, with LSQ's gradients.

    Args:
        weight: [rows, columns].
        scale: positive, [1, 1] or [rows, 1].
    """
    return quantize_candidates(weight, (scale,), None, Candidates((grid,), alone=(0,)))[0]


def quantize_candidates(
    weight: Tensor, scales: Sequence[Tensor], mixture: Tensor | None, wanted: Candidates
) -> tuple[Tensor, ...]:
    """The candidates named in `wanted.alone`, in that order, then the mixture if it is wanted.

    Args:
        weight: [rows, columns].
        scales: positive, [1, 1] or [rows, 1], one for each grid.
        mixture: lambda, [candidates]; needed for `wanted.mixed`.
    """
    results: tuple[Tensor, ...] = _QuantizeCandidates.apply(weight, mixture, wanted, *scales)
    return results


class _QuantizeCandidates(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, mixture: Tensor | None, wanted: Candidates, *scales: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(weight, mixture, *scales)
        ctx.wanted = wanted
        ctx.set_materialize_grads(False)
        alone = {index: torch.empty_like(weight) for index in wanted.alone}
        mixed = torch.zeros_like(weight) if wanted.mixed else None
        shares = mixture.tolist() if mixture is not None else []
        needed = range(len(scales)) if wanted.mixed else wanted.alone
        for rows in _blocks(weight):
            for index in needed:
                grid, scale = wanted.grids[index], _rows_of(scales[index], rows)
                values = grid.values(grid.round_to_codes(weight[rows], scale), scale)
                if index in alone:
                    alone[index][rows] = values
                if mixed is not None:
                    mixed[rows].add_(values, alpha=shares[index])
        return (*alone.values(), *([mixed] if mixed is not None else []))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        weight, mixture, *scales = ctx.saved_tensors
        wanted: Candidates = ctx.wanted
        own = dict(zip(wanted.alone, gradients, strict=False))
        of_mixed = gradients[len(wanted.alone)] if wanted.mixed else None
        shares = mixture.tolist() if mixture is not None else [0.0] * len(scales)

        of_weight = torch.zeros_like(weight)
        of_scales = [torch.zeros_like(scale) for scale in scales]
        of_mixture = torch.zeros_like(mixture) if mixture is not None else None
        for rows in _blocks(weight):
            for index, grid in enumerate(wanted.grids):
                arrivals = [(own.get(index), 1.0), (of_mixed, shares[index])]
                arrived = [(one[rows], share) for one, share in arrivals if one is not None]
                if not arrived:
                    continue
                scale = _rows_of(scales[index], rows)
                ratio = weight[rows] / scale
                levels = grid.round_to_codes(weight[rows], scale)
                if grid.shift:
                    levels.add_(grid.shift)
                for gradient, share in arrived:
                    through = _within(ratio, grid, gradient)
                    of_weight[rows].add_(through, alpha=share)
                    along = torch.linalg.vecdot(gradient, levels)
                    of_scale = share * (along - torch.linalg.vecdot(through, ratio))
                    if len(scales[index]) == 1:
                        of_scales[index] += of_scale.sum()
                    else:
                        of_scales[index][rows] += of_scale.unsqueeze(1)
                if of_mixed is not None and of_mixture is not None:
                    # The mixture's gradient came last: `along` is its.
                    of_mixture[index] += (along * scale.squeeze(1)).sum()
        for grid, of_scale in zip(wanted.grids, of_scales, strict=True):
            shared_by = weight.numel() / of_scale.numel()
            of_scale.mul_((shared_by * grid.largest) ** -0.5)
        # A candidate that took no part gets None, not zeros: an optimizer then leaves its scale.
        took_part = range(len(scales)) if of_mixed is not None else own
        returned = [one if index in took_part else None for index, one in enumerate(of_scales)]
        return of_weight, of_mixture, None, *returned


def _within(ratio: Tensor, grid: Grid, gradient: Tensor) -> Tensor:
    """The gradient where w/s lies between the grid's ends, else 0, in a single pass."""
    lowest, highest = grid.lowest + grid.shift, grid.highest + grid.shift
    passed: Tensor = torch.ops.aten.hardtanh_backward(gradient, ratio, lowest, highest)
    return passed


def _blocks(weight: Tensor) -> Iterator[slice]:
    """Slices of rows: small enough for the cache on a CPU, everything at once elsewhere."""
    rows, columns = weight.shape
    step = max(1, _BLOCK_WEIGHTS // columns) if weight.device.type == "cpu" else rows
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def _rows_of(scale: Tensor, rows: slice) -> Tensor:
    return scale if len(scale) == 1 else scale[rows]
