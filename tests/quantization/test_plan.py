import json

import pytest

from sottovoce.errors import InputError
from sottovoce.quantization.plan import WHOLE_BITS, Plan, Precision, mean_bits

SHAPES = {"q": (4, 10), "ff": (6, 5), "not planned": (100, 100)}
PLAN = Plan({"q": Precision(2, "half", "tensor"), "ff": Precision(8)})


def test_nominal_bits_weigh_layers_by_their_weights() -> None:
    assert PLAN.nominal_bits(SHAPES) == (40 * 2 + 30 * 8) / 70


def test_stored_bytes_count_padded_rows_and_scales() -> None:
    # q: 4 rows of 20 bits, so 3 bytes each, and one scale; ff: 6 rows of 5 bytes and 6 scales.
    assert PLAN["q"].stored_bytes((4, 10)) == 4 * 3 + 4
    assert PLAN["ff"].stored_bytes((6, 5)) == 6 * 5 + 6 * 4
    assert PLAN.stored_bytes(SHAPES) == 16 + 54
    assert PLAN.effective_bits(SHAPES) == 8 * 70 / 70


def test_stored_bytes_count_short_blocks_offsets_and_halves() -> None:
    # 3 rows of 10 weights in blocks of 4, 4 and 2: 9 groups.
    blocks = Precision(2, "half", "block", 4)
    assert blocks.groups((3, 10)) == (3, 3)
    assert blocks.stored_bytes((3, 10)) == 3 * 3 + 9 * 4
    assert Precision(2, "asymmetric", "block", 4).stored_bytes((3, 10)) == 3 * 3 + 9 * 8
    assert Precision(2, "asymmetric", "block", 4, 16).stored_bytes((3, 10)) == 3 * 3 + 9 * 4
    assert Precision(1, "half", "tensor", None, 16).stored_bytes((3, 10)) == 3 * 2 + 2
    # P2: a 16-bit scale and offset a block of 64 are half a bit a weight.
    plan = Plan({"ff": Precision(2, "asymmetric", "block", 64, 16)})
    assert plan.effective_bits({"ff": (1024, 4096)}) == 2.5
    assert plan.nominal_bits({"ff": (1024, 4096)}) == 2


def test_a_block_as_long_as_a_row_costs_what_the_channel_costs() -> None:
    for block in (10, 11, 1000):
        long, channel = Precision(2, "asymmetric", "block", block), Precision(2, "asymmetric")
        assert long.stored_bytes((3, 10)) == channel.stored_bytes((3, 10))


def test_a_plan_says_only_what_is_not_the_usual() -> None:
    plan = Plan({"q": Precision(2), "ff": Precision(2, "asymmetric", "block", 64, 16, 8)})
    assert plan.to_json() == {
        "q": {"bits": 2, "grid": "symmetric", "granularity": "channel"},
        "ff": {
            **{"bits": 2, "grid": "asymmetric", "granularity": "block", "block": 64},
            **{"scale_bits": 16, "input_bits": 8},
        },
    }
    assert Plan.from_json(plan.to_json()) == plan


def test_ternary_weights_take_a_byte_for_five() -> None:
    ternary = Precision(1.6, "symmetric", "tensor")
    assert ternary.stored_bytes((4, 10)) == 4 * 2 + 4
    assert ternary.stored_bytes((4, 11)) == 4 * 3 + 4
    plan = Plan({"q": ternary, "ff": Precision(2)})
    assert plan.nominal_bits({"q": (4, 10), "ff": (4, 10)}) == 1.8
    assert plan.nominal_bits({"q": (7, 13)}) == 1.6
    assert Plan({"q": ternary}).effective_bits({"q": (1000, 1000)}) == pytest.approx(1.6, 1e-4)
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_mean_bits_are_exact() -> None:
    assert mean_bits([3] * 7, [1.6] * 7) == 1.6
    assert sum([3 * 1.6] * 7) / 21 != 1.6  # as sums of the widths themselves are not
    assert mean_bits([], []) == 0


@pytest.mark.parametrize("bits", WHOLE_BITS)
def test_rows_that_fill_whole_bytes_have_no_padding(bits: int) -> None:
    precision = Precision(bits, "half")
    assert precision.stored_bytes((768, 3072)) == 768 * 3072 * bits // 8 + 768 * 4
    assert precision.scales((768, 3072)) == 768


def test_json_there_and_back_is_the_same_plan_in_the_same_order() -> None:
    again = Plan.from_json(json.loads(json.dumps(PLAN.to_json())))
    assert again == PLAN
    assert list(again) == ["q", "ff"]


def test_a_plan_does_not_change_with_the_mapping_it_was_made_from() -> None:
    layers = {"q": Precision(2)}
    plan = Plan(layers)
    layers["q"] = Precision(8)
    assert plan["q"].bits == 2
    with pytest.raises(TypeError):
        plan.layers["q"] = Precision(8)  # type: ignore[index]


@pytest.mark.parametrize(
    "fields",
    [
        {"bits": 7},
        {"bits": 32},
        {"bits": "4"},
        {"bits": [4]},
        {"bits": 4.0},
        {"bits": 1.5},
        {"bits": "1.6"},
        {"bits": 4, "grid": "round"},
        {"bits": 4, "granularity": "row"},
        {"bits": True, "grid": "half"},
        {"bits": 1},
        {"bits": 4, "granularity": "block"},
        {"bits": 4, "granularity": "block", "block": 0},
        {"bits": 4, "granularity": "block", "block": -64},
        {"bits": 4, "granularity": "block", "block": 64.0},
        {"bits": 4, "granularity": "block", "block": "64"},
        {"bits": 4, "block": 64},
        {"bits": 4, "scale_bits": 8},
        {"bits": 4, "gird": "half"},
        {},
        None,
        4,
    ],
)
def test_an_entry_that_is_no_precision_is_named(fields: object) -> None:
    with pytest.raises(InputError, match="layer 'ff'"):
        Plan.from_json({"q": {"bits": 2}, "ff": fields})  # type: ignore[dict-item]


def test_a_precision_reads_as_a_candidate_is_written() -> None:
    assert str(Precision(4)) == "4/symmetric/channel"
    blocks = Precision(2, "asymmetric", "block", 64, 16, 8)
    assert str(blocks) == "2/asymmetric/64 with 16-bit scales on 8-bit inputs"


def test_a_precision_says_what_is_allowed() -> None:
    with pytest.raises(
        InputError, match=r"bits is 7; it must be one of \(1, 1.6, 2, 3, 4, 5, 6, 8\)"
    ):
        Precision(7)
