"""Fake quantization against plain autograd with straight-through tricks."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from sottovoce.plan import GRANULARITIES, STORABLE_BITS
from sottovoce.quantizers import fake
from sottovoce.quantizers.fake import Candidates, fake_quantize, quantize_candidates
from sottovoce.quantizers.grids import GRIDS, Grid, grid_of
from sottovoce.quantizers.ranges import initial_scale

SHAPE = (13, 29)
EVERY_PRECISION = [
    (name, bits, granularity)
    for name in GRIDS
    for bits in STORABLE_BITS
    for granularity in GRANULARITIES
]
WANTED = [
    Candidates((), alone=(0,)),
    Candidates((), alone=(1, 2)),
    Candidates((), alone=(2, 0)),
    Candidates((), mixed=True),
    Candidates((), alone=(1,), mixed=True),
    Candidates((), alone=(0, 1, 2), mixed=True),
]


def _drawn(seed: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _reference(weight: Tensor, scale: Tensor, grid: Grid) -> Tensor:
    """LSQ as its paper writes it: detach tricks for rounding and for the scale's gradient."""
    shared = weight.numel() / scale.numel()
    factor = (shared * grid.largest) ** -0.5
    scale = (scale - scale * factor).detach() + scale * factor
    position = (weight / scale - grid.shift).clamp(grid.lowest, grid.highest)
    code = position + (position.round() - position).detach()
    return scale * (code + grid.shift)


class _Case:
    """Leaves for three candidates of one weight, and gradients to send back."""

    def __init__(self, name: str, granularity: str, wanted: Candidates) -> None:
        self.grids = tuple(grid_of(name, bits) for bits in (2, 4, 8))
        self.wanted = Candidates(self.grids, wanted.alone, wanted.mixed)
        self.weight = (0.1 * _drawn(0)).double().requires_grad_()
        # A little off the fitted scale, so that weights fall outside every grid.
        self.scales = [
            (0.6 * initial_scale(self.weight, grid, granularity, "max")).double().requires_grad_()
            for grid in self.grids
        ]
        self.mixture = torch.tensor([0.2, 0.5, 0.3]).double().requires_grad_()
        count = len(wanted.alone) + wanted.mixed
        self.arriving = [_drawn(1 + index).double() for index in range(count)]

    def gradients(self, results: Sequence[Tensor]) -> list[Tensor]:
        leaves = [self.weight, *self.scales, *([self.mixture] if self.wanted.mixed else [])]
        found = torch.autograd.grad(results, leaves, self.arriving, allow_unused=True)
        pairs = zip(found, leaves, strict=True)
        return [torch.zeros_like(leaf) if one is None else one for one, leaf in pairs]

    def made(self) -> tuple[Tensor, ...]:
        mixture = self.mixture if self.wanted.mixed else None
        return quantize_candidates(self.weight, self.scales, mixture, self.wanted)

    def reference(self) -> list[Tensor]:
        each = [
            _reference(self.weight, scale, grid)
            for scale, grid in zip(self.scales, self.grids, strict=True)
        ]
        mixed = sum(share * one for share, one in zip(self.mixture, each, strict=True))
        return [each[index] for index in self.wanted.alone] + ([mixed] if self.wanted.mixed else [])


@pytest.mark.parametrize(("name", "bits", "granularity"), EVERY_PRECISION)
def test_training_multiplies_by_what_is_stored(name: str, bits: int, granularity: str) -> None:
    weight, grid = 0.1 * _drawn(0), grid_of(name, bits)
    scale = 0.7 * initial_scale(weight, grid, granularity, "max")
    stored = grid.values(grid.round_to_codes(weight, scale), scale)
    assert torch.equal(fake_quantize(weight, scale, grid), stored)
    assert not torch.equal(stored, weight)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_values_and_gradients_are_those_of_plain_autograd(
    name: str, granularity: str, wanted: Candidates
) -> None:
    case = _Case(name, granularity, wanted)
    made, expected = case.made(), case.reference()
    assert len(made) == len(expected)
    for one, other in zip(made, expected, strict=True):
        torch.testing.assert_close(one, other)
    for one, other in zip(case.gradients(made), case.gradients(expected), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("block_weights", [1, 29 * 3, 29 * 13])
def test_the_size_of_blocks_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, granularity: str, block_weights: int
) -> None:
    case = _Case("half", granularity, WANTED[-1])
    whole = case.made()
    gradients = case.gradients(whole)
    monkeypatch.setattr(fake, "_BLOCK_WEIGHTS", block_weights)
    blocks = case.made()
    for one, other in zip(blocks, whole, strict=True):
        assert torch.equal(one, other)
    for one, other in zip(case.gradients(blocks), gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_the_mixtures_gradient_is_the_product_with_each_candidate(granularity: str) -> None:
    case = _Case("symmetric", granularity, Candidates((), mixed=True))
    gradient = case.gradients(case.made())[-1]
    each = [
        fake_quantize(case.weight, scale, grid)
        for scale, grid in zip(case.scales, case.grids, strict=True)
    ]
    expected = torch.stack([(case.arriving[0] * one).sum() for one in each])
    torch.testing.assert_close(gradient, expected)


def test_an_output_that_nothing_used_sends_nothing_back() -> None:
    case = _Case("symmetric", "channel", WANTED[-1])
    first = case.made()[0]
    (of_first,) = torch.autograd.grad(first, [case.weight], case.arriving[0])
    alone = fake_quantize(case.weight, case.scales[0], case.grids[0])
    (expected,) = torch.autograd.grad(alone, [case.weight], case.arriving[0])
    assert torch.equal(of_first, expected)


def test_weights_outside_the_grid_get_no_gradient() -> None:
    weight = torch.tensor([[-5.0, -0.9, 0.2, 5.0]], requires_grad=True)
    fake_quantize(weight, torch.ones(1, 1), grid_of("symmetric", 2)).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[0.0, 1.0, 1.0, 0.0]]
