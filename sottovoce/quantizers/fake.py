"""Fake quantization that trains: straight-through weights, learnt scales, mixed candidates.

One fused operation quantizes a weight at several widths and mixes the results,

    w_i = s_i * (q_i + shift_i) + o_i    w_mixed = sum_i lambda_i * w_i          (P1, eq. 1)

so that a mixed layer costs one matrix product. Only the weight, the scales, the offsets and lambda
are kept for the backward pass, which quantizes again instead of storing each candidate's codes and
masks. On a CPU both passes walk the weight in tiles that stay in cache: eager PyTorch spends its
time on memory, and this is where it is saved.

Gradients, for g = dL/dw_i (LSQ, arXiv 1902.08153, eqs. 3 and 5; LSQ+, arXiv 2004.09576):

    dL/dw        = sum_i g_i           where w lies between the grid's ends, else 0
    dL/ds_i      = sum g_i * (q_i - (w - o_i)/s_i + shift_i), or g_i * (end + shift_i) outside
    dL/do_i      = sum g_i             where w lies outside, else 0
    dL/dlambda_i = <dL/dw_mixed, w_i>

Those of scale and offset are multiplied by 1 / sqrt(N * largest), N the weights that share them.
For the `half` and `asymmetric` grids `largest` is (2^b - 1) / 2, the last level, where LSQ has its
last code.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sottovoce.quantizers.affine import Affine
from sottovoce.quantizers.grids import Grid
from sottovoce.quantizers.grouping import SUM
from sottovoce.quantizers.quantizer import Quantizer

_TILE_WEIGHTS = 2**18


@dataclass(frozen=True)
class Candidates:
    """Which candidates are wanted of a weight.

    Attributes:
        quantizers: one for each candidate.
        alone: indices of the candidates whose own quantized weight is returned.
        mixed: whether the mixture is returned too.
    """

    quantizers: tuple[Quantizer, ...]
    alone: tuple[int, ...] = ()
    mixed: bool = False


def fake_quantize(weight: Tensor, affine: Affine, quantizer: Quantizer) -> Tensor:
    """One candidate: the weight as the packed model will have it, with LSQ's gradients.

    Args:
        weight: [rows, columns].
        affine: of the quantizer's groups.
    """
    return quantize_candidates(weight, (affine,), None, Candidates((quantizer,), alone=(0,)))[0]


def quantize_candidates(
    weight: Tensor, affines: Sequence[Affine], mixture: Tensor | None, wanted: Candidates
) -> tuple[Tensor, ...]:
    """The candidates named in `wanted.alone`, in that order, then the mixture if it is wanted.

    Args:
        weight: [rows, columns].
        affines: one for each quantizer, of its groups.
        mixture: lambda, [candidates]; needed for `wanted.mixed`.
    """
    numbers = (*(one.scale for one in affines), *(one.offset for one in affines))
    results: tuple[Tensor, ...] = _QuantizeCandidates.apply(weight, mixture, wanted, *numbers)
    return results


class _QuantizeCandidates(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, mixture: Tensor | None, wanted: Candidates, *numbers: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(weight, mixture, *numbers)
        ctx.wanted = wanted
        ctx.set_materialize_grads(False)
        affines = _affines(numbers)
        alone = {index: torch.empty_like(weight) for index in wanted.alone}
        mixed = torch.zeros_like(weight) if wanted.mixed else None
        shares = mixture.tolist() if mixture is not None else []
        needed = range(len(affines)) if wanted.mixed else wanted.alone
        for rows in _tiles(weight):
            for index in needed:
                values = wanted.quantizers[index].rounded(
                    weight[rows], affines[index].of_rows(rows)
                )
                if index in alone:
                    alone[index][rows] = values
                if mixed is not None:
                    mixed[rows].add_(values, alpha=shares[index])
        return (*alone.values(), *([mixed] if mixed is not None else []))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        weight, mixture, *numbers = ctx.saved_tensors
        wanted: Candidates = ctx.wanted
        affines = _affines(numbers)
        own = dict(zip(wanted.alone, gradients, strict=False))
        of_mixed = gradients[len(wanted.alone)] if wanted.mixed else None
        shares = mixture.tolist() if mixture is not None else [0.0] * len(affines)

        of_weight = torch.zeros_like(weight)
        of_numbers = [torch.zeros_like(one) if one is not None else None for one in numbers]
        of_affines = _affines(of_numbers)
        of_mixture = torch.zeros_like(mixture) if mixture is not None else None
        for rows in _tiles(weight):
            for index, quantizer in enumerate(wanted.quantizers):
                arrivals = [(own.get(index), 1.0), (of_mixed, shares[index])]
                arrived = [(one[rows], share) for one, share in arrivals if one is not None]
                if not arrived:
                    continue
                grid, grouping = quantizer.grid, quantizer.grouping
                affine, of_affine = affines[index].of_rows(rows), of_affines[index].of_rows(rows)
                spread = quantizer.spread(affine, weight.shape[1])
                ratio = grid.ratio(weight[rows], *spread)
                levels = grid.round_to_codes(weight[rows], *spread)
                if grid.shift:
                    levels.add_(grid.shift)
                for gradient, share in arrived:
                    through = _within(ratio, grid, gradient)
                    of_weight[rows].add_(through, alpha=share)
                    along = grouping.reduced_by_row(torch.linalg.vecdot, gradient, levels)
                    inside = grouping.reduced_by_row(torch.linalg.vecdot, through, ratio)
                    _add(of_affine.scale, share * (along - inside))
                    if of_affine.offset is not None:
                        arriving = grouping.reduced_by_row(SUM, gradient)
                        passing = grouping.reduced_by_row(SUM, through)
                        _add(of_affine.offset, share * (arriving - passing))
                if of_mixed is not None and of_mixture is not None:
                    # The mixture's gradient came last: `along` and `arriving` are its.
                    of_mixture[index] += (along * affine.scale).sum()
                    if affine.offset is not None:
                        of_mixture[index] += (arriving * affine.offset).sum()
        for quantizer, of_affine in zip(wanted.quantizers, of_affines, strict=True):
            shared_by = weight.numel() / of_affine.scale.numel()
            of_affine.scale.mul_((shared_by * quantizer.grid.largest) ** -0.5)
            if of_affine.offset is not None:
                of_affine.offset.mul_((shared_by * quantizer.grid.largest) ** -0.5)
        # A candidate that took no part gets None, not zeros: an optimizer then leaves its scale.
        took_part = range(len(affines)) if of_mixed is not None else own
        returned = [
            one if index % len(affines) in took_part else None
            for index, one in enumerate(of_numbers)
        ]
        return of_weight, of_mixture, None, *returned


def _affines(numbers: Sequence[Any]) -> list[Affine]:
    """All scales, then all offsets, as `Affine`s."""
    count = len(numbers) // 2
    return [Affine(*pair) for pair in zip(numbers[:count], numbers[count:], strict=True)]


def _add(total: Tensor, of_rows: Tensor) -> None:
    """Add what each row found to the rows' own totals, or to the one that they share."""
    total += of_rows if len(total) == len(of_rows) else of_rows.sum()


def _within(ratio: Tensor, grid: Grid, gradient: Tensor) -> Tensor:
    """The gradient where w/s lies between the grid's ends, else 0, in a single pass."""
    lowest, highest = grid.lowest + grid.shift, grid.highest + grid.shift
    passed: Tensor = torch.ops.aten.hardtanh_backward(gradient, ratio, lowest, highest)
    return passed


def _tiles(weight: Tensor) -> Iterator[slice]:
    """Slices of rows: small enough for the cache on a CPU, everything at once elsewhere."""
    rows, columns = weight.shape
    step = max(1, _TILE_WEIGHTS // columns) if weight.device.type == "cpu" else rows
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))
