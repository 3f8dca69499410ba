import pytest
import torch
from torch import Tensor

from sottovoce.plan import GRANULARITIES, STORABLE_BITS
from sottovoce.quantizers.grids import GRIDS, grid_of
from sottovoce.quantizers.ranges import RANGES, initial_scale, squared_error

EVERY_CASE = [
    (name, bits, granularity)
    for name in GRIDS
    for bits in STORABLE_BITS
    for granularity in GRANULARITIES
]


def _weights(kind: str) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    weight = 0.05 * torch.randn(24, 300, generator=generator)
    if kind == "heavy-tailed":  # Student's t with 4 degrees of freedom
        weight /= torch.randn(4, 24, 300, generator=generator).square().mean(0).sqrt()
    if kind == "one outlier":
        weight[0, 0] = 3.0
    return weight


@pytest.mark.parametrize("kind", ["gaussian", "heavy-tailed", "one outlier"])
@pytest.mark.parametrize(("name", "bits", "granularity"), EVERY_CASE)
def test_mse_has_the_least_squared_error(name: str, bits: int, granularity: str, kind: str) -> None:
    weight, grid = _weights(kind), grid_of(name, bits)
    errors = {
        rule: squared_error(weight, initial_scale(weight, grid, granularity, rule), grid).sum()
        for rule in RANGES
    }
    # Clippings are 7.6% apart, and LSQ may fall between two of them.
    assert errors["mse"] <= errors["max"]
    assert errors["mse"] <= 1.01 * errors["lsq"]


@pytest.mark.parametrize("rule", RANGES)
@pytest.mark.parametrize(("granularity", "shape"), [("tensor", (1, 1)), ("channel", (5, 1))])
def test_scales_have_the_shape_of_their_granularity(
    rule: str, granularity: str, shape: tuple[int, int]
) -> None:
    scale = initial_scale(torch.randn(5, 7), grid_of("symmetric", 4), granularity, rule)
    assert scale.shape == shape
    assert bool((scale > 0).all())


@pytest.mark.parametrize("rule", RANGES)
@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("name", GRIDS)
def test_zeros_stay_near_zero(name: str, granularity: str, rule: str) -> None:
    weight, grid = torch.zeros(3, 4), grid_of(name, 2)
    scale = initial_scale(weight, grid, granularity, rule)
    assert bool((scale > 0).all())
    values = grid.values(grid.round_to_codes(weight, scale), scale)
    assert float(values.abs().max()) < 1e-6


def test_a_row_of_zeros_leaves_the_others_alone() -> None:
    weight = torch.randn(3, 8)
    weight[1] = 0
    grid = grid_of("symmetric", 4)
    for rule in RANGES:
        scale = initial_scale(weight, grid, "channel", rule)
        assert torch.equal(scale[[0, 2]], initial_scale(weight[[0, 2]], grid, "channel", rule))


@pytest.mark.parametrize("name", GRIDS)
def test_max_puts_the_largest_weight_on_the_last_level(name: str) -> None:
    weight, grid = torch.tensor([[0.5, -2.0], [0.25, 0.125]]), grid_of(name, 4)
    expected = torch.tensor([[2.0], [0.25]]) / grid.largest
    assert torch.equal(initial_scale(weight, grid, "channel", "max"), expected)
    assert torch.equal(initial_scale(weight, grid, "tensor", "max"), expected[:1])


def test_lsq_starts_as_published() -> None:
    weight = torch.tensor([[1.0, -3.0], [0.5, 0.5]])
    grid = grid_of("symmetric", 3)
    expected = 2 * torch.tensor([[2.0], [0.5]]) / 3**0.5
    assert torch.allclose(initial_scale(weight, grid, "channel", "lsq"), expected)


def test_scales_of_parameters_carry_no_gradient() -> None:
    weight = torch.nn.Parameter(torch.randn(3, 4))
    for rule in RANGES:
        assert not initial_scale(weight, grid_of("half", 2), "channel", rule).requires_grad
