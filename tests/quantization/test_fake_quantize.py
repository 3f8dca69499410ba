"""Fake quantization against plain autograd with straight-through tricks."""

import shutil
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
import torch._inductor.config as inductor
from precisions import EVERY_PRECISION, GROUPED, described
from torch import Tensor

from sottovoce.artifact.packed_layers import PackedLinear
from sottovoce.errors import InputError
from sottovoce.quantization import fake_quantize as fake
from sottovoce.quantization.affine import Affine
from sottovoce.quantization.fake_quantize import Candidates, fake_quantize, quantize_candidates
from sottovoce.quantization.grids import GRIDS
from sottovoce.quantization.plan import Precision
from sottovoce.quantization.quantizer import Quantizer
from sottovoce.quantization.ranges import initial_affine

SHAPE = (13, 29)
WANTED = [
    Candidates((), alone=(0,)),
    Candidates((), alone=(1, 2)),
    Candidates((), alone=(2, 0)),
    Candidates((), mixed=True),
    Candidates((), alone=(1,), mixed=True),
    Candidates((), alone=(0, 1, 2), mixed=True),
]

COMPILED = (Precision(2, "half"), Precision(1, "asymmetric", "block", 8, 16), Precision(8))
needs_a_compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="no C++ compiler to fuse the quantizers with"
)


def _drawn(seed: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _reference(weight: Tensor, affine: Affine, quantizer: Quantizer) -> Tensor:
    """LSQ and LSQ+ as their papers write them: detach tricks for rounding and for the factor."""
    grid, columns = quantizer.grid, weight.shape[1]
    factor = (weight.numel() / affine.scale.numel() * grid.largest) ** -0.5
    scale = _slowed(affine.scale, factor)
    offset = torch.zeros_like(scale) if affine.offset is None else _slowed(affine.offset, factor)
    if scale.shape[1] > 1:
        block = quantizer.grouping.block
        scale, offset = (
            torch.stack([one[:, column // block] for column in range(columns)], dim=1)
            for one in (scale, offset)
        )
    position = ((weight - offset) / scale - grid.shift).clamp(grid.lowest, grid.highest)
    code = position + (position.round() - position).detach()
    return scale * (code + grid.shift) + offset


def _slowed(number: Tensor, factor: float) -> Tensor:
    """The same number, its gradient multiplied."""
    return (number - number * factor).detach() + number * factor


class _Case:
    """Leaves for three candidates of one weight, and gradients to send back."""

    def __init__(
        self, name: str, grouped: tuple[str, int | None], wanted: Candidates, bits: int = 2
    ) -> None:
        self.quantizers = tuple(
            Precision(width, name, *grouped).quantizer for width in (bits, 4, 8)
        )
        self.wanted = Candidates(self.quantizers, wanted.alone, wanted.mixed)
        self.weight = (0.1 * _drawn(0)).double().requires_grad_()
        starts = [initial_affine(self.weight, one, "max") for one in self.quantizers]
        # A little off the fitted scale, so that weights fall outside every grid.
        self.affines = [
            Affine(
                (0.6 * one.scale).double().requires_grad_(),
                None if one.offset is None else (one.offset + 0.01).double().requires_grad_(),
            )
            for one in starts
        ]
        self.mixture = torch.tensor([0.2, 0.5, 0.3]).double().requires_grad_()
        count = len(wanted.alone) + wanted.mixed
        self.arriving = [_drawn(1 + index).double() for index in range(count)]

    def gradients(self, results: Sequence[Tensor]) -> list[Tensor]:
        offsets = [one.offset for one in self.affines if one.offset is not None]
        scales = [one.scale for one in self.affines]
        mixture = [self.mixture] if self.wanted.mixed else []
        leaves = [self.weight, *scales, *offsets, *mixture]
        found = torch.autograd.grad(results, leaves, self.arriving, allow_unused=True)
        pairs = zip(found, leaves, strict=True)
        return [torch.zeros_like(leaf) if one is None else one for one, leaf in pairs]

    def made(self) -> tuple[Tensor, ...]:
        mixture = self.mixture if self.wanted.mixed else None
        return quantize_candidates(self.weight, self.affines, mixture, self.wanted)

    def reference(self) -> list[Tensor]:
        each = [
            _reference(self.weight, affine, quantizer)
            for affine, quantizer in zip(self.affines, self.quantizers, strict=True)
        ]
        mixed = sum(share * one for share, one in zip(self.mixture, each, strict=True))
        return [each[index] for index in self.wanted.alone] + ([mixed] if self.wanted.mixed else [])


@pytest.mark.parametrize("precision", EVERY_PRECISION, ids=described)
def test_training_multiplies_by_what_is_stored(precision: Precision) -> None:
    weight, quantizer = 0.1 * _drawn(0), precision.quantizer
    start = initial_affine(weight, quantizer, "max")
    affine = quantizer.stored(Affine(0.7 * start.scale, start.offset))
    found = fake_quantize(weight, affine, quantizer)
    assert torch.equal(found, quantizer.rounded(weight, affine))
    assert precision.block == 1 or not torch.equal(found, weight)
    packed = PackedLinear.from_weight(weight, affine, precision)
    assert torch.equal(packed.weight, found)
    torch.testing.assert_close(found, _reference(weight, affine, quantizer))


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("grouped", GROUPED, ids=str)
@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_values_and_gradients_are_those_of_plain_autograd(
    name: str, grouped: tuple[str, int | None], wanted: Candidates
) -> None:
    case = _Case(name, grouped, wanted)
    made, expected = case.made(), case.reference()
    assert len(made) == len(expected)
    for one, other in zip(made, expected, strict=True):
        torch.testing.assert_close(one, other)
    for one, other in zip(case.gradients(made), case.gradients(expected), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("grid", ["half", "asymmetric"])
@pytest.mark.parametrize("grouped", GROUPED, ids=str)
def test_one_bit_trains_by_the_same_gradients(grid: str, grouped: tuple[str, int | None]) -> None:
    case = _Case(grid, grouped, WANTED[-1], bits=1)
    made, expected = case.made(), case.reference()
    for one, other in zip(case.gradients(made), case.gradients(expected), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", ["half", "asymmetric"])
@pytest.mark.parametrize("grouped", GROUPED, ids=str)
@pytest.mark.parametrize("tile_weights", [1, 29 * 3, 29 * 13])
def test_the_size_of_tiles_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    grouped: tuple[str, int | None],
    tile_weights: int,
) -> None:
    case = _Case(name, grouped, WANTED[-1])
    whole = case.made()
    gradients = case.gradients(whole)
    monkeypatch.setattr(fake, "_TILE_WEIGHTS", tile_weights)
    tiles = case.made()
    for one, other in zip(tiles, whole, strict=True):
        assert torch.equal(one, other)
    for one, other in zip(case.gradients(tiles), gradients, strict=True):
        torch.testing.assert_close(one, other)


@needs_a_compiler
def test_compiled_candidates_are_the_same_to_the_last_bit() -> None:
    case = _Case("asymmetric", ("block", 8), WANTED[-1])
    plain = case.made()
    gradients = case.gradients(plain)
    case.wanted = replace(case.wanted, fused=True)
    compiled = case.made()
    for one, other in zip(compiled[:-1], plain[:-1], strict=True):
        assert torch.equal(one, other)
    torch.testing.assert_close(compiled[-1], plain[-1])
    for one, other in zip(case.gradients(compiled), gradients, strict=True):
        torch.testing.assert_close(one, other)


@needs_a_compiler
@pytest.mark.parametrize("precision", COMPILED, ids=described)
def test_compiled_training_multiplies_by_what_is_stored(precision: Precision) -> None:
    weight, quantizer = 0.1 * _drawn(0), precision.quantizer
    affine = initial_affine(weight, quantizer, "l1")
    wanted = Candidates((quantizer,), alone=(0,), fused=True)
    (compiled,) = quantize_candidates(weight, (affine,), None, wanted)
    assert torch.equal(compiled, PackedLinear.from_weight(weight, affine, precision).weight)


def test_without_a_compiler_the_mend_is_named() -> None:
    quantizer = Precision(6).quantizer
    wanted = Candidates((quantizer,), alone=(0,), fused=True)
    # Its own way of patching: monkeypatch leaves the settings unreadable.
    nowhere = inductor.patch({"cpp.cxx": ("no-such-compiler",), "force_disable_caches": True})
    needed = pytest.raises(InputError, match="install a C\\+\\+ compiler.*leave fused out")
    with nowhere, needed:
        quantize_candidates(_drawn(0), (Affine(torch.ones(13, 1)),), None, wanted)


@pytest.mark.parametrize("name", ["symmetric", "asymmetric"])
@pytest.mark.parametrize("grouped", GROUPED, ids=str)
def test_the_mixtures_gradient_is_the_product_with_each_candidate(
    name: str, grouped: tuple[str, int | None]
) -> None:
    case = _Case(name, grouped, Candidates((), mixed=True))
    gradient = case.gradients(case.made())[-1]
    each = [
        fake_quantize(case.weight, affine, quantizer)
        for affine, quantizer in zip(case.affines, case.quantizers, strict=True)
    ]
    expected = torch.stack([(case.arriving[0] * one).sum() for one in each])
    torch.testing.assert_close(gradient, expected)


def test_an_output_that_nothing_used_sends_nothing_back() -> None:
    case = _Case("symmetric", ("channel", None), WANTED[-1])
    first = case.made()[0]
    (of_first,) = torch.autograd.grad(first, [case.weight], case.arriving[0])
    alone = fake_quantize(case.weight, case.affines[0], case.quantizers[0])
    (expected,) = torch.autograd.grad(alone, [case.weight], case.arriving[0])
    assert torch.equal(of_first, expected)


def test_weights_outside_the_grid_get_no_gradient() -> None:
    weight = torch.tensor([[-5.0, -0.9, 0.2, 5.0]], requires_grad=True)
    fake_quantize(weight, Affine(torch.ones(1, 1)), Precision(2).quantizer).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[0.0, 1.0, 1.0, 0.0]]
