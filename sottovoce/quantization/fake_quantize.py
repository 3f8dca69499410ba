"""Fake quantization that trains: straight-through weights, learnt scales, mixed candidates.

One fused operation quantizes a weight at several widths and mixes the results,

    w_i = s_i * (q_i + shift_i) + o_i    w_mixed = sum_i lambda_i * w_i          (xu2025, eq. 1)

so that a mixed layer costs one matrix product. Only the weight, the scales, the offsets and lambda
are kept for the backward pass, which quantizes again instead of storing each candidate's codes and
masks. On a CPU both passes walk the weight in tiles that stay in cache: eager PyTorch spends its
time on memory, and this is where it is saved. `fused` compiles each pass into a single loop over
the weight (docs/decisions/0019): the same weights to the last bit, and the same gradients but for
the order in which they are summed.

Gradients, for g = dL/dw_i (LSQ, arXiv 1902.08153, eqs. 3 and 5; LSQ+, arXiv 2004.09576):

    dL/dw        = sum_i g_i           where w lies between the grid's ends, else 0
    dL/ds_i      = sum g_i * (q_i - (w - o_i)/s_i + shift_i), or g_i * (end + shift_i) outside
    dL/do_i      = sum g_i             where w lies outside, else 0
    dL/dlambda_i = <dL/dw_mixed, w_i>

LSQ's ends are the grid's last levels. A range that is computed from the weights ends at its
extreme weights, which would then never move, nor the range with them: there a weight learns up to
`margin` = half a level beyond, for as long as rounding is all that happens to it.

Those of scale and offset are multiplied by 1 / sqrt(N * largest), N the weights that share them.
For the `half` and `asymmetric` grids `largest` is (2^b - 1) / 2, the last level, where LSQ has its
last code.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sottovoce.compiler import require_compiler
from sottovoce.quantization.affine import Affine
from sottovoce.quantization.grids import Grid
from sottovoce.quantization.grouping import Grouping
from sottovoce.quantization.quantizer import Quantizer
from sottovoce.quantization.reduction import SUM, reduce_rows

_TILE_WEIGHTS = 2**17
_KERNELS = 256


@dataclass(frozen=True)
class Candidates:
    """Which candidates are wanted of a weight.

    Attributes:
        quantizers: one for each candidate.
        alone: indices of the candidates whose own quantized weight is returned.
        mixed: whether the mixture is returned too.
        fused: whether the arithmetic is compiled. The first call with each shape takes seconds.
        margin: in levels, how far beyond the grid's ends a weight still learns.
    """

    quantizers: tuple[Quantizer, ...]
    alone: tuple[int, ...] = ()
    mixed: bool = False
    fused: bool = False
    margin: float = 0.0


def fake_quantize(
    weight: Tensor, affine: Affine, quantizer: Quantizer, margin: float = 0.0
) -> Tensor:
    """One candidate: the weight as the packed model will have it, with LSQ's gradients.

    Args:
        weight: [rows, columns].
        affine: of the quantizer's groups.
        margin: as in `Candidates`.
    """
    wanted = Candidates((quantizer,), alone=(0,), margin=margin)
    return quantize_candidates(weight, (affine,), None, wanted)[0]


def quantize_candidates(
    weight: Tensor, affines: Sequence[Affine], mixture: Tensor | None, wanted: Candidates
) -> tuple[Tensor, ...]:
    """The candidates named in `wanted.alone`, in that order, then the mixture if it is wanted.

    Args:
        weight: [rows, columns].
        affines: one for each quantizer, of its groups.
        mixture: lambda, [candidates]; needed for `wanted.mixed`.

    Raises:
        InputError: `wanted.fused` without a compiler.
    """
    numbers = (*(affine.scale for affine in affines), *(affine.offset for affine in affines))
    block = _shared_block(wanted, weight.shape[1])
    if block is None:
        results: tuple[Tensor, ...] = _QuantizeCandidates.apply(weight, mixture, wanted, *numbers)
        return results
    # Every block is a row of a narrower matrix, whose weights and sums one loop can go through.
    rows = replace(wanted, quantizers=tuple(_by_row(quantizer) for quantizer in wanted.quantizers))
    of_rows = (None if number is None else number.view(-1, 1) for number in numbers)
    results = _QuantizeCandidates.apply(weight.reshape(-1, block), mixture, rows, *of_rows)
    return tuple(result.view_as(weight) for result in results)


def _shared_block(wanted: Candidates, columns: int) -> int | None:
    """The block of all candidates, where it divides a row into several."""
    first, *others = {quantizer.grouping.block for quantizer in wanted.quantizers}
    return None if others or first is None or first >= columns or columns % first else first


def _by_row(quantizer: Quantizer) -> Quantizer:
    return replace(quantizer, grouping=Grouping())


_Tensors = Sequence[Tensor | None]
_Found = tuple[Tensor, Tensor | None, list[Tensor | None]]
"""Gradients of a weight, of a mixture and of scales and offsets; None of what took no part."""


class _QuantizeCandidates(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, mixture: Tensor | None, wanted: Candidates, *numbers: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(weight, mixture, *numbers)
        ctx.wanted = wanted
        ctx.set_materialize_grads(False)
        if wanted.fused:
            return _in_one_pass(_values, wanted, weight, mixture, numbers)
        whole = tuple(torch.empty_like(weight) for _ in range(len(wanted.alone) + wanted.mixed))
        for rows in _tiles(weight):
            values = _values(wanted, weight[rows], mixture, _of_rows(numbers, rows))
            for result, tile in zip(whole, values, strict=True):
                result[rows] = tile
        return whole

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        weight, mixture, *numbers = ctx.saved_tensors
        wanted: Candidates = ctx.wanted
        if wanted.fused:
            sent_back = _in_one_pass(_gradients, wanted, weight, mixture, numbers, gradients)
        else:
            sent_back = _gradients_by_tiles(wanted, weight, mixture, numbers, gradients)
        of_weight, of_mixture, of_numbers = sent_back
        for index, (number, of_rows) in enumerate(zip(numbers, of_numbers, strict=True)):
            # What took no part gets None, not zeros: an optimizer then leaves it.
            if of_rows is not None:
                largest = wanted.quantizers[index % len(wanted.quantizers)].grid.largest
                total = of_rows if len(number) == len(of_rows) else of_rows.sum().view_as(number)
                of_numbers[index] = total.mul_((weight.numel() / number.numel() * largest) ** -0.5)
        return of_weight, of_mixture, None, *of_numbers


def _values(
    wanted: Candidates, weight: Tensor, mixture: Tensor | None, numbers: _Tensors
) -> tuple[Tensor, ...]:
    """Compute the wanted values of some rows: plain arithmetic, for tiles and for the compiler."""
    affines = _affines(numbers)
    needed = range(len(affines)) if wanted.mixed else wanted.alone
    each = {index: wanted.quantizers[index].rounded(weight, affines[index]) for index in needed}
    alone = tuple(each[index] for index in wanted.alone)
    if mixture is None or not wanted.mixed:
        return alone
    mixed = torch.zeros_like(weight)
    for index, values in each.items():
        mixed.addcmul_(values, mixture[index])
    return *alone, mixed


def _gradients(
    wanted: Candidates,
    weight: Tensor,
    mixture: Tensor | None,
    numbers: _Tensors,
    gradients: _Tensors,
) -> _Found:
    """Compute the gradients of some rows, before the factor of scales and offsets.

    The rows of a number that the whole tensor shares send one each: [rows, 1].
    """
    affines = _affines(numbers)
    whole = weight.new_ones(())
    arrived = [
        (index, gradient, whole) for index, gradient in zip(wanted.alone, gradients, strict=False)
    ]
    if mixture is not None and wanted.mixed:
        arrived += [(index, gradients[-1], mixture[index]) for index in range(len(affines))]
    of_weight = torch.zeros_like(weight)
    of_shares: list[Tensor] = []
    of_numbers: list[Tensor | None] = [None] * len(numbers)
    for index, gradient, share in arrived:
        if gradient is None:
            continue
        affine, quantizer = affines[index], wanted.quantizers[index]
        through, along, of_scale = _through_rounding(
            gradient, weight, affine, quantizer, wanted.margin
        )
        of_weight.addcmul_(through, share)
        _add(of_numbers, index, share * of_scale)
        product = along * affine.scale
        if affine.offset is not None:
            arriving = reduce_rows(quantizer.grouping, SUM, gradient)
            passing = reduce_rows(quantizer.grouping, SUM, through)
            _add(of_numbers, len(affines) + index, share * (arriving - passing))
            product = product + arriving * affine.offset
        if share is not whole:
            of_shares.append(product.sum())
    return of_weight, torch.stack(of_shares) if of_shares else None, of_numbers


def _through_rounding(
    gradient: Tensor, weight: Tensor, affine: Affine, quantizer: Quantizer, margin: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The weight's gradient; <g, q + shift> of each row's groups; and the scales' gradient."""
    grid, grouping = quantizer.grid, quantizer.grouping
    spread = quantizer.spread(affine, weight.shape[1])
    ratio, levels = grid.ratio(weight, *spread), grid.round_to_codes(weight, *spread)
    levels = levels.add_(grid.shift) if grid.shift else levels
    through = _within(ratio, grid, margin, gradient)
    along = reduce_rows(grouping, _product, gradient, levels)
    return through, along, along - reduce_rows(grouping, _product, through, ratio)


def _gradients_by_tiles(
    wanted: Candidates,
    weight: Tensor,
    mixture: Tensor | None,
    numbers: _Tensors,
    gradients: _Tensors,
) -> _Found:
    """Compute the gradients of all rows, tile by tile."""
    of_weight = torch.empty_like(weight)
    of_mixture: list[Tensor] = []
    of_numbers: list[list[Tensor]] = [[] for _ in numbers]
    for rows in _tiles(weight):
        arrived = [None if gradient is None else gradient[rows] for gradient in gradients]
        numbers_of_tile = _of_rows(numbers, rows)
        of_weight[rows], of_shares, of_tile = _gradients(
            wanted, weight[rows], mixture, numbers_of_tile, arrived
        )
        if of_shares is not None:
            of_mixture.append(of_shares)
        for each, gradient in zip(of_numbers, of_tile, strict=True):
            if gradient is not None:
                each.append(gradient)
    return (
        of_weight,
        torch.stack(of_mixture).sum(0) if of_mixture else None,
        [torch.cat(each) if each else None for each in of_numbers],
    )


def _in_one_pass(arithmetic: Callable[..., Any], wanted: Candidates, *tensors: Any) -> Any:
    """The same arithmetic, of all rows, compiled. Raises InputError where it cannot be."""
    compiling = require_compiler("fused quantization", "leave fused out")
    with compiling, torch._dynamo.config.patch(recompile_limit=_KERNELS):
        return _compiled(arithmetic, wanted)(*tensors)


@cache
def _compiled(arithmetic: Callable[..., Any], wanted: Candidates) -> Callable[..., Any]:
    def of_tensors(*tensors: Any) -> Any:
        return arithmetic(wanted, *tensors)

    # Shapes that are not fixed cost more than half of the speed.
    return torch.compile(of_tensors, fullgraph=True, dynamic=False)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Along the last dimension; a compiler fuses what it can see into, and not a matrix product."""
    if torch.compiler.is_compiling():
        return (left * right).sum(-1)
    return torch.linalg.vecdot(left, right)


def _affines(numbers: Sequence[Any]) -> list[Affine]:
    """All scales, then all offsets, as `Affine`s."""
    count = len(numbers) // 2
    return [Affine(*pair) for pair in zip(numbers[:count], numbers[count:], strict=True)]


def _of_rows(numbers: _Tensors, rows: slice) -> list[Tensor | None]:
    """Select the scales and offsets of some rows; one that all rows share is every row's."""
    return [number if number is None or len(number) == 1 else number[rows] for number in numbers]


def _add(sums: list[Tensor | None], index: int, more: Tensor) -> None:
    before = sums[index]
    sums[index] = more if before is None else before + more


def _within(ratio: Tensor, grid: Grid, margin: float, gradient: Tensor) -> Tensor:
    """The gradient where w/s lies between the grid's ends, else 0, in a single pass."""
    lowest, highest = grid.lowest + grid.shift - margin, grid.highest + grid.shift + margin
    passed: Tensor = torch.ops.aten.hardtanh_backward(gradient, ratio, lowest, highest)
    return passed


def _tiles(weight: Tensor) -> Iterator[slice]:
    """Slices of rows: small enough for the cache on a CPU, everything at once elsewhere."""
    rows, columns = weight.shape
    step = max(1, _TILE_WEIGHTS // columns) if weight.device.type == "cpu" else rows
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))
