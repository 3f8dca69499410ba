import pytest
import torch
from precisions import EVERY_PRECISION, PAIRWISE_PRECISIONS, described
from torch import Tensor

from sottovoce.quantization.affine import Affine
from sottovoce.quantization.grids import GRIDS
from sottovoce.quantization.plan import Precision
from sottovoce.quantization.ranges import initial_affine, rounding_error
from sottovoce.quantization.rules import RANGES


def _weights(kind: str) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    weight = 0.05 * torch.randn(12, 150, generator=generator)
    if kind == "heavy-tailed":  # Student's t with 4 degrees of freedom
        weight /= torch.randn(4, 12, 150, generator=generator).square().mean(0).sqrt()
    if kind == "one outlier":
        weight[0, 0] = 3.0
    if kind == "off centre":
        weight += 0.1
    return weight


KINDS = ["gaussian", "heavy-tailed", "one outlier", "off centre"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", PAIRWISE_PRECISIONS, ids=described)
def test_a_searched_clipping_is_never_worse_than_none(precision: Precision, kind: str) -> None:
    weight, quantizer = _weights(kind), precision.quantizer
    starts = {rule: initial_affine(weight, quantizer, rule) for rule in RANGES}
    for rule in ("mse", "l1"):
        errors = {
            name: rounding_error(weight, quantizer, start, rule) for name, start in starts.items()
        }
        assert bool((errors[rule] <= errors["max"]).all())
        if precision.grid != "asymmetric" and precision.scale_bits is None:
            # Clippings are 7.6% apart, and LSQ may fall between two of them.
            assert errors[rule].sum() <= 1.02 * errors["lsq"].sum()


@pytest.mark.parametrize("grid", ["symmetric", "asymmetric", "half"])
@pytest.mark.parametrize("granularity", [("tensor", None), ("channel", None), ("block", 64)])
def test_clipping_gains_where_few_weights_lie_far_outside(
    grid: str, granularity: tuple[str, int | None]
) -> None:
    weight, quantizer = _weights("heavy-tailed"), Precision(2, grid, *granularity).quantizer
    clipped, whole = (
        rounding_error(weight, quantizer, initial_affine(weight, quantizer, rule), "l1").sum()
        for rule in ("l1", "max")
    )
    assert clipped < 0.9 * whole


def test_each_search_has_the_least_error_of_its_own_kind() -> None:
    weight, quantizer = _weights("heavy-tailed"), Precision(3).quantizer
    starts = {rule: initial_affine(weight, quantizer, rule) for rule in ("mse", "l1")}
    for rule, other in (("mse", "l1"), ("l1", "mse")):
        own, others = (
            rounding_error(weight, quantizer, starts[name], rule).sum() for name in (rule, other)
        )
        assert own < others


@pytest.mark.parametrize("rule", RANGES)
def test_scales_have_the_shape_of_their_groups(rule: str) -> None:
    for precision in EVERY_PRECISION:
        affine = initial_affine(torch.randn(5, 19), precision.quantizer, rule)
        assert affine.scale.shape == precision.groups((5, 19)), precision
        assert bool((affine.scale > 0).all()), precision
        assert (affine.offset is not None) == (precision.grid == "asymmetric"), precision
        if affine.offset is not None:
            assert affine.offset.shape == affine.scale.shape, precision


@pytest.mark.parametrize("rule", RANGES)
@pytest.mark.parametrize("scale_bits", [None, 16])
@pytest.mark.parametrize("name", GRIDS)
def test_zeros_stay_near_zero(name: str, scale_bits: int | None, rule: str) -> None:
    weight = torch.zeros(3, 4)
    for granularity in (("tensor", None), ("channel", None), ("block", 3)):
        quantizer = Precision(2, name, *granularity, scale_bits).quantizer
        affine = initial_affine(weight, quantizer, rule)
        assert bool((affine.scale > 0).all())
        assert float(quantizer.rounded(weight, affine).abs().max()) < 2e-6


def test_a_row_of_zeros_leaves_the_others_alone() -> None:
    weight = torch.randn(3, 8)
    weight[1] = 0
    quantizer = Precision(4).quantizer
    for rule in RANGES:
        scale = initial_affine(weight, quantizer, rule).scale
        assert torch.equal(scale[[0, 2]], initial_affine(weight[[0, 2]], quantizer, rule).scale)


@pytest.mark.parametrize("rule", RANGES)
@pytest.mark.parametrize("grid", GRIDS)
def test_a_block_starts_as_it_would_alone(grid: str, rule: str) -> None:
    """The last, short one too."""
    weight = torch.randn(4, 11)
    blocks = initial_affine(weight, Precision(3, grid, "block", 4).quantizer, rule)
    for index, span in enumerate((slice(0, 4), slice(4, 8), slice(8, 11))):
        alone = initial_affine(weight[:, span], Precision(3, grid).quantizer, rule)
        torch.testing.assert_close(blocks.scale[:, index : index + 1], alone.scale)
        if blocks.offset is not None:
            torch.testing.assert_close(blocks.offset[:, index : index + 1], alone.offset)


@pytest.mark.parametrize("name", ["symmetric", "full", "half"])
def test_max_puts_the_largest_weight_on_the_last_level(name: str) -> None:
    weight = torch.tensor([[0.5, -2.0], [0.25, 0.125]])
    precision = Precision(4, name)
    expected = torch.tensor([[2.0], [0.25]]) / precision.quantizer.grid.largest
    assert torch.equal(initial_affine(weight, precision.quantizer, "max").scale, expected)
    tensor = Precision(4, name, "tensor").quantizer
    assert torch.equal(initial_affine(weight, tensor, "max").scale, expected[:1])


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_max_with_an_offset_ends_at_the_least_and_the_largest_weight(bits: int) -> None:
    """P2: s = (max - min) / (2^b - 1)."""
    weight, quantizer = _weights("off centre"), Precision(bits, "asymmetric").quantizer
    affine = initial_affine(weight, quantizer, "max")
    rounded = quantizer.rounded(weight, affine)
    ends = weight.amin(1), weight.amax(1)
    torch.testing.assert_close(affine.scale.squeeze(1), (ends[1] - ends[0]) / (2**bits - 1))
    torch.testing.assert_close((rounded.amin(1), rounded.amax(1)), ends)
    assert bool(((rounded - weight).abs() <= 0.5001 * affine.scale).all())


def test_an_offset_pays_where_weights_are_off_centre() -> None:
    weight = _weights("off centre")
    errors = [
        rounding_error(weight, one, initial_affine(weight, one, "l1"), "l1").sum()
        for one in (Precision(2, "asymmetric").quantizer, Precision(2, "half").quantizer)
    ]
    assert errors[0] < 0.7 * errors[1]


def test_lsq_starts_as_published() -> None:
    weight = torch.tensor([[1.0, -3.0], [0.5, 0.5]])
    expected = 2 * torch.tensor([[2.0], [0.5]]) / 3**0.5
    found = initial_affine(weight, Precision(3).quantizer, "lsq")
    torch.testing.assert_close(found.scale, expected)
    moved = initial_affine(weight + 7, Precision(3, "asymmetric").quantizer, "lsq")
    torch.testing.assert_close(moved.offset, torch.tensor([[6.0], [7.5]]))


def test_scales_of_parameters_carry_no_gradient() -> None:
    weight = torch.nn.Parameter(torch.randn(3, 4))
    for rule in RANGES:
        affine = initial_affine(weight, Precision(2, "asymmetric").quantizer, rule)
        assert affine.offset is not None
        assert not affine.scale.requires_grad
        assert not affine.offset.requires_grad


def test_one_bit_is_the_sign_times_a_level() -> None:
    weight, quantizer = torch.tensor([[0.3, -0.1, -0.2, 0.4]]), Precision(1, "half").quantizer
    rounded = quantizer.rounded(weight, Affine(torch.tensor([[0.5]])))
    assert torch.equal(rounded, 0.25 * weight.sign())
    # The level of least squared error is the mean magnitude (XNOR-Net), here 0.25.
    found = initial_affine(weight, quantizer, "mse").scale / 2
    assert float(found) == pytest.approx(0.25, rel=0.04)
