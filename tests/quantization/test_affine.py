"""Scales and offsets: in 16 bits, learnt, and taken from the weights."""

import pytest
import torch

from sottovoce.errors import InputError
from sottovoce.quantization.affine import Affine
from sottovoce.quantization.fake_quantize import fake_quantize
from sottovoce.quantization.learned_scales import AffineFromWeights, LearntAffine
from sottovoce.quantization.plan import Precision
from sottovoce.quantization.quantizer import LEAST_IN_16_BITS, MOST_IN_16_BITS
from sottovoce.quantization.ranges import initial_affine


def test_numbers_are_those_of_float16_and_stay_so() -> None:
    scale = torch.logspace(-4, 4, 200).view(-1, 1)
    rounded = Affine(scale, -scale).in_16_bits()
    assert torch.equal(rounded.scale, scale.half().float())
    assert rounded.offset is not None
    assert torch.equal(rounded.offset, -scale.half().float())
    assert not torch.equal(rounded.scale, scale)
    again = rounded.in_16_bits()
    assert torch.equal(again.scale, rounded.scale)


def test_what_is_too_small_or_too_large_is_brought_in() -> None:
    scale = torch.tensor([[1e-12], [1e9]])
    offset = torch.tensor([[-1e9], [1e-12]])
    rounded = Affine(scale, offset).in_16_bits()
    assert rounded.scale.flatten().tolist() == [LEAST_IN_16_BITS, MOST_IN_16_BITS]
    assert rounded.offset is not None
    assert rounded.offset.flatten().tolist() == [-MOST_IN_16_BITS, 0.0]
    assert bool((rounded.scale.half() > 0).all())


def test_gradients_pass_straight_through() -> None:
    scale = torch.tensor([[0.1], [1e-12]], requires_grad=True)
    Affine(scale).in_16_bits().scale.sum().backward()
    assert scale.grad is not None
    assert scale.grad.flatten().tolist() == [1.0, 1.0]


@pytest.mark.parametrize("grid", ["symmetric", "asymmetric"])
def test_weights_too_large_for_16_bits_are_refused(grid: str) -> None:
    weight = torch.randn(3, 4) + 1e6 * (grid == "asymmetric")
    weight[0] *= 1e6
    with pytest.raises(InputError, match="scale or offset of .* does not fit in 16 bits; leave"):
        LearntAffine(weight, Precision(2, grid, scale_bits=16).quantizer, "max")
    LearntAffine(weight, Precision(2, grid).quantizer, "max")


def test_an_offset_is_learnt_in_scales() -> None:
    """The step of an optimizer, of one size for all, moves the levels by a share of their gap."""
    weight = torch.tensor([[1.0, 3.0], [0.01, 0.03]])
    learnt = LearntAffine(weight, Precision(1, "asymmetric").quantizer, "max")
    start = learnt(weight)
    torch.testing.assert_close(start.offset, torch.tensor([[2.0], [0.02]]))
    torch.testing.assert_close(start.scale, torch.tensor([[2.0], [0.02]]))
    with torch.no_grad():
        learnt.offset_in_scales.add_(0.5)
    torch.testing.assert_close(learnt(weight).offset, torch.tensor([[3.0], [0.03]]))
    assert len(list(learnt.parameters())) == 2
    assert len(list(LearntAffine(weight, Precision(2).quantizer, "max").parameters())) == 1


@pytest.mark.parametrize("scale_bits", [None, 16])
def test_scales_and_offsets_learn_through_what_is_stored(scale_bits: int | None) -> None:
    """Fitting the weight itself: from far off they come back to about where `max` begins."""
    weight = torch.randn(4, 30, generator=torch.Generator().manual_seed(0)) + 0.5
    quantizer = Precision(2, "asymmetric", "block", 8, scale_bits).quantizer
    learnt = LearntAffine(weight, quantizer, "max")

    def error() -> torch.Tensor:
        return (fake_quantize(weight, learnt(weight), quantizer) - weight).square().sum()

    best = float(error().detach())
    with torch.no_grad():
        learnt.log_scale.add_(0.7)
        learnt.offset_in_scales.add_(0.5)
    before = {name: one.detach().clone() for name, one in learnt.named_parameters()}
    assert float(error().detach()) > 2 * best
    optimizer = torch.optim.Adam(learnt.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        error().backward()
        optimizer.step()
    assert float(error().detach()) < 1.2 * best
    assert set(before) == {"log_scale", "offset_in_scales"}
    for name, one in learnt.named_parameters():
        assert not torch.equal(one, before[name])
    if scale_bits == 16:
        stored = learnt(weight)
        assert stored.offset is not None
        assert torch.equal(stored.scale.half().float(), stored.scale)
        assert torch.equal(stored.offset.half().float(), stored.offset)


@pytest.mark.parametrize("rule", ["max", "l1"])
@pytest.mark.parametrize("scale_bits", [None, 16])
@pytest.mark.parametrize("grid", ["symmetric", "asymmetric"])
def test_scales_from_weights_follow_every_change_of_the_weight(
    grid: str, scale_bits: int | None, rule: str
) -> None:
    weight = torch.nn.Parameter(torch.randn(4, 30, generator=torch.Generator().manual_seed(0)))
    quantizer = Precision(2, grid, "block", 8, scale_bits).quantizer
    affine = AffineFromWeights(weight, quantizer, rule)
    assert not list(affine.parameters()) and not affine.state_dict()
    before = affine(weight).scale
    with torch.no_grad():
        weight.mul_(torch.linspace(0.5, 2.0, 30)).add_(0.3)
    found, expected = affine(weight), initial_affine(weight, quantizer, rule)
    assert torch.equal(found.scale, expected.scale)
    assert not torch.isclose(found.scale, before).any()
    if found.offset is not None and expected.offset is not None:
        assert torch.equal(found.offset, expected.offset)


@pytest.mark.parametrize(("rule", "clips"), [("max", False), ("l1", True)])
@pytest.mark.parametrize("scale_bits", [None, 16])
@pytest.mark.parametrize("grid", ["symmetric", "asymmetric"])
def test_a_range_from_weights_is_a_constant_to_the_gradient(
    grid: str, scale_bits: int | None, rule: str, clips: bool
) -> None:
    """Straight through for what is rounded, extreme weights too; nothing for what is clipped."""
    weight = torch.cat([torch.linspace(-1, 1, 40), torch.tensor([9.0])]).view(1, -1)
    weight.requires_grad_()
    quantizer = Precision(3, grid, scale_bits=scale_bits).quantizer
    source = AffineFromWeights(weight, quantizer, rule)
    affine = source(weight)
    rounded = fake_quantize(weight, affine, quantizer, source.margin)
    learns = (rounded - weight).abs() <= 0.5001 * affine.scale
    assert bool(learns.all()) != clips
    arriving = torch.linspace(1, 2, 41).view(1, -1)
    (arriving * rounded).sum().backward()
    assert weight.grad is not None
    assert torch.equal(weight.grad, arriving * learns)


def test_weights_that_outgrow_16_bits_are_refused_when_they_do() -> None:
    weight = torch.randn(3, 4)
    affine = AffineFromWeights(weight, Precision(2, scale_bits=16).quantizer, "max")
    with pytest.raises(InputError, match="scale or offset of .* does not fit in 16 bits"):
        affine(weight * 1e6)
