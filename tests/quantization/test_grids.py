import re

import pytest
import torch
from precisions import GRIDS_OF

from sottovoce.errors import InputError
from sottovoce.quantization import grids
from sottovoce.quantization.grids import GRIDS, codes_of, grid_of
from sottovoce.quantization.plan import STORABLE_BITS, TERNARY_BITS


def _documented() -> dict[str, list[str]]:
    """The table of the module's docstring: grid -> its cells."""
    rows = re.findall(r"^\|(.+)\|$", grids.__doc__ or "", re.MULTILINE)
    cells = [[cell.strip() for cell in row.split("|")] for row in rows]
    return {name: rest for name, *rest in cells[2:]}


def _number(formula: str, bits: float) -> float:
    return float(eval(formula, {"n": codes_of(bits)}))


def test_the_documented_table_names_every_grid() -> None:
    assert list(_documented()) == list(GRIDS)


def test_grids_are_as_documented() -> None:
    for name, bits in GRIDS_OF:
        lowest, highest, shift, _ = _documented()[name]
        grid = grid_of(name, bits)
        assert (grid.lowest, grid.highest, grid.shift) == (
            _number(lowest, bits),
            _number(highest, bits),
            _number(shift, bits),
        )


@pytest.mark.parametrize("name", GRIDS)
def test_two_bit_levels_are_as_documented(name: str) -> None:
    levels = _documented()[name][3].removeprefix("ternary: ").split(", ")
    factors = [re.sub(r"(?<![\d.])s", "1s", level).removesuffix("s") for level in levels]
    assert list(grid_of(name, 2).levels) == [float(factor) for factor in factors]


def test_half_grid_has_four_balanced_levels_at_two_bits() -> None:
    assert list(grid_of("half", 2).levels) == [-1.5, -0.5, 0.5, 1.5]


def test_one_bit_is_two_balanced_levels() -> None:
    for name in ("half", "asymmetric"):
        assert list(grid_of(name, 1).levels) == [-0.5, 0.5]


def test_a_width_has_as_many_codes_as_fit() -> None:
    assert [codes_of(bits) for bits in STORABLE_BITS] == [2, 3, 4, 8, 16, 32, 64, 256]


@pytest.mark.parametrize("name", GRIDS)
def test_three_codes_are_ternary_on_every_grid(name: str) -> None:
    assert list(grid_of(name, TERNARY_BITS).levels) == [-1.0, 0.0, 1.0]
    if name != "asymmetric":
        assert grid_of(name, TERNARY_BITS) == grid_of("symmetric", 2)


@pytest.mark.parametrize("name", ["symmetric", "full"])
def test_grids_with_a_zero_have_no_levels_at_one_bit(name: str) -> None:
    with pytest.raises(InputError, match=f"the {name} grid has no levels at 1 bit; give half or"):
        grid_of(name, 1)


@pytest.mark.parametrize("name", GRIDS)
def test_an_offset_moves_all_levels(name: str) -> None:
    grid, scale = grid_of(name, 3), torch.tensor([[0.25]])
    assert grid.has_offset == (name == "asymmetric")
    weight, offset = torch.linspace(-1, 1, 50).unsqueeze(0), torch.tensor([[0.7]])
    codes = grid.round_to_codes(weight + offset, scale, offset)
    assert torch.equal(codes, grid.round_to_codes(weight, scale))
    moved = grid.values(codes, scale, offset)
    torch.testing.assert_close(moved, grid.values(codes, scale) + offset)


def test_codes_fit_their_bits() -> None:
    for name, bits in GRIDS_OF:
        grid = grid_of(name, bits)
        assert 2 ** (bits - 1) < grid.highest - grid.lowest + 1 <= 2**bits


def test_every_level_is_its_own_nearest() -> None:
    for name, bits in GRIDS_OF:
        grid = grid_of(name, bits)
        scale = torch.tensor([[0.37], [2.0**-9]])
        codes = torch.arange(grid.lowest, grid.highest + 1).float().repeat(2, 1)
        assert torch.equal(grid.round_to_codes(grid.values(codes, scale), scale), codes)


def test_weights_go_to_the_nearest_level() -> None:
    for name, bits in GRIDS_OF:
        grid = grid_of(name, bits)
        weight = torch.linspace(-1.7, 1.7, 997).unsqueeze(0) * grid.largest
        rounded = grid.values(grid.round_to_codes(weight, torch.ones(1, 1)), torch.ones(1, 1))
        distances = (weight.squeeze(0).unsqueeze(1) - torch.tensor(grid.levels)).abs()
        assert torch.equal((weight - rounded).abs().squeeze(0), distances.amin(1))


def test_largest_is_the_last_level() -> None:
    for name, bits in GRIDS_OF:
        grid = grid_of(name, bits)
        assert grid.largest == max(grid.levels) == grid.levels[-1]
