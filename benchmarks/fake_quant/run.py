"""How fast weights are fake-quantized, beside the bandwidth of the memory that they pass through.

    python -m benchmarks.fake_quant.run --threads 1 2

quantizes the 72 matrices of wav2vec2-base's encoder (85 million random weights) at 2 bits and sends
a gradient back through all of them, in three ways:

- eager: LSQ's straight-through estimator as plain PyTorch operations under autograd;
- tiles: `sottovoce.quantization.fake_quantize` as it comes, the same operations on tiles that stay
in cache;
- fused: the same compiled (a recipe's `fused`).

Bytes are the fewest that can move: forward reads the weights and writes them quantized, backward
reads the weights and their gradients and writes others; scales and offsets are read, and their
gradients written. Bandwidth is of copying the weights (read once, written once) in the same round.
The median over the rounds; the first, which compiles and takes memory for the first time, is left
out. Freed memory stays with the process, as in training.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.inputs import Needs, parser_of, run
from benchmarks.rows import RESULTS, Row, machine, row_of
from sottovoce.memory import keep_freed_memory
from sottovoce.quantization.affine import Affine
from sottovoce.quantization.fake_quantize import Candidates, quantize_candidates
from sottovoce.quantization.plan import Precision
from sottovoce.quantization.quantizer import Quantizer
from sottovoce.quantization.ranges import initial_affine

NEEDS = Needs(hours=0.25)
BASE = ((768, 768), (768, 768), (768, 768), (768, 768), (3072, 768), (768, 3072)) * 12
TINY = ((16, 24), (24, 16))
PRECISIONS = tuple(
    Precision(2, grid, *grouping)
    for grid in ("symmetric", "half", "asymmetric")
    for grouping in (("channel", None), ("block", 64))
)
_FLOAT = 4

Shapes = Sequence[tuple[int, int]]
Way = Callable[[Tensor, Affine, Quantizer], Tensor]


def eager(weight: Tensor, affine: Affine, quantizer: Quantizer) -> Tensor:
    """LSQ and LSQ+ as their papers write them."""
    grid = quantizer.grid
    factor = (weight.numel() / affine.scale.numel() * grid.largest) ** -0.5
    slowed = Affine(
        _slowed(affine.scale, factor),
        None if affine.offset is None else _slowed(affine.offset, factor),
    )
    scale, offset = quantizer.spread(slowed, weight.shape[1])
    centred = weight if offset is None else weight - offset
    position = (centred / scale - grid.shift).clamp(grid.lowest, grid.highest)
    code = position + (position.round() - position).detach()
    values = scale * (code + grid.shift)
    return values if offset is None else values + offset


def _slowed(number: Tensor, factor: float) -> Tensor:
    return (number - number * factor).detach() + number * factor


def tiles(weight: Tensor, affine: Affine, quantizer: Quantizer) -> Tensor:
    return _ours(weight, affine, quantizer, fused=False)


def fused(weight: Tensor, affine: Affine, quantizer: Quantizer) -> Tensor:
    return _ours(weight, affine, quantizer, fused=True)


def _ours(weight: Tensor, affine: Affine, quantizer: Quantizer, *, fused: bool) -> Tensor:
    wanted = Candidates((quantizer,), alone=(0,), fused=fused)
    return quantize_candidates(weight, (affine,), None, wanted)[0]


WAYS: dict[str, Way] = {"eager": eager, "tiles": tiles, "fused": fused}


def measured(shapes: Shapes, precision: Precision, rounds: int) -> dict[str, Any]:
    """Seconds of copying and of each way, and the bytes that have to move."""
    weights = [0.05 * torch.randn(shape) for shape in shapes]
    gradients = [torch.randn(shape) for shape in shapes]
    copies = [torch.empty(shape) for shape in shapes]
    affines = [initial_affine(weight, precision.quantizer, "lsq") for weight in weights]
    leaves = [_leaves(*both) for both in zip(weights, affines, strict=True)]
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(rounds + 1):
        seconds = _seconds(
            lambda: [a.copy_(b.detach()) for a, b in zip(copies, weights, strict=True)]
        )
        found.setdefault("copy", {}).setdefault("forward", []).append(seconds)
        for name, way in WAYS.items():
            for part, seconds in _there_and_back(
                way, precision, affines, leaves, gradients
            ).items():
                found.setdefault(name, {}).setdefault(part, []).append(seconds)
    numbers = sum(one.numel() for each in leaves for one in each[1:])
    weighed = sum(weight.numel() for weight in weights)
    return {
        "weights": weighed,
        "bytes": {
            "forward": _FLOAT * (2 * weighed + numbers),
            "backward": _FLOAT * (3 * weighed + 2 * numbers),
        },
        "seconds": {
            name: {part: median(times[1:]) for part, times in parts.items()}
            for name, parts in found.items()
        },
    }


def _leaves(weight: Tensor, affine: Affine) -> list[Tensor]:
    numbers = [affine.scale] if affine.offset is None else [affine.scale, affine.offset]
    return [one.requires_grad_() for one in (weight, *numbers)]


def _there_and_back(
    way: Way,
    precision: Precision,
    affines: Sequence[Affine],
    leaves: Sequence[Sequence[Tensor]],
    gradients: Sequence[Tensor],
) -> dict[str, float]:
    """Seconds of the forward and of the backward pass of all matrices."""
    made: list[Tensor] = []
    sent: list[Sequence[Tensor]] = []

    def forward() -> None:
        for (weight, *_), affine in zip(leaves, affines, strict=True):
            made.append(way(weight, affine, precision.quantizer))

    def backward() -> None:
        for one, of_one, gradient in zip(made, leaves, gradients, strict=True):
            sent.append(torch.autograd.grad(one, of_one, gradient))

    return {"forward": _seconds(forward), "backward": _seconds(backward)}


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def bandwidth(row: Row) -> float:
    """Bytes a second that the copy reached."""
    copied: float = 2 * _FLOAT * row["weights"] / row["seconds"]["copy"]["forward"]
    return copied


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows that are missing."""
    parser = parser_of(__doc__, NEEDS)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny matrices: only to try the code")
    parser.add_argument("--results", type=Path, default=RESULTS / "fake_quant.json")
    given = parser.parse_args(arguments)
    shapes = TINY if given.quick else BASE
    precisions = PRECISIONS[-1:] if given.quick else PRECISIONS
    with keep_freed_memory():
        for threads, precision in product(given.threads, precisions):
            torch.set_num_threads(threads)
            key = {
                "precision": asdict(precision),
                "matrices": len(shapes),
                "machine": machine(),
            }
            row = row_of(given.results, key, partial(measured, shapes, precision, given.rounds))
            for way, parts in row["seconds"].items():
                shares = {
                    part: f"{seconds:.3f} s, {row['bytes'][part] / seconds / bandwidth(row):.2f}"
                    for part, seconds in parts.items()
                }
                print(precision.grid, precision.scale_per, way, shares)


if __name__ == "__main__":
    run(main)
