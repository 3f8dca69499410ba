import copy
import io
import itertools
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from sottovoce.artifact.packed_layers import PackedLinear, empty_packed
from sottovoce.artifact.packed_model import plan_of, replace_layers
from sottovoce.errors import InputError
from sottovoce.plan import GRANULARITIES, STORABLE_BITS, Plan, Precision
from sottovoce.quantizers.grids import GRIDS, grid_of

ROWS, COLUMNS = 7, 19


def _packed(precision: Precision, seed: int = 0) -> PackedLinear:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(ROWS, COLUMNS, generator=generator)
    scale = torch.rand(precision.scales((ROWS, COLUMNS)), generator=generator) * 0.3 + 0.1
    return PackedLinear.from_weight(weight, scale, precision, torch.randn(ROWS))


@pytest.mark.parametrize(
    ("bits", "grid_name", "granularity"),
    list(itertools.product(STORABLE_BITS, GRIDS, GRANULARITIES)),
)
def test_the_weight_is_bit_identical_to_training(
    bits: int, grid_name: str, granularity: str
) -> None:
    precision = Precision(bits, grid_name, granularity)
    grid = grid_of(grid_name, bits)
    weight = torch.randn(ROWS, COLUMNS)
    scale = torch.rand(precision.scales((ROWS, COLUMNS)), 1) * 2 / grid.largest + 0.01
    bias, inputs = torch.randn(ROWS), torch.randn(3, COLUMNS)
    trained = grid.values(grid.round_to_codes(weight, scale), scale)
    layer = PackedLinear.from_weight(weight, scale, precision, bias)
    assert torch.equal(layer.weight, trained)
    assert torch.equal(layer(inputs), nn.functional.linear(inputs, trained, bias))


def test_the_state_is_the_bytes_the_plan_counts() -> None:
    for precision in (Precision(3, granularity="channel"), Precision(5, granularity="tensor")):
        layer = _packed(precision)
        _ = layer.weight
        assert set(layer.state_dict()) == {"codes", "scale", "bias"}
        stored = layer.codes.nbytes + layer.scale.nbytes
        assert stored == precision.stored_bytes((ROWS, COLUMNS))


def test_the_weight_is_dequantized_once() -> None:
    layer = _packed(Precision(4))
    assert layer.weight is layer.weight


def test_loading_into_a_used_layer_changes_its_weight() -> None:
    first, second = _packed(Precision(4), seed=1), _packed(Precision(4), seed=2)
    wanted = second.weight.clone()
    for assign in (False, True):
        layer = copy.deepcopy(first)
        assert not torch.equal(layer.weight, wanted)
        layer.load_state_dict(second.state_dict(), assign=assign)
        assert torch.equal(layer.weight, wanted)


def test_replaced_buffers_change_the_weight() -> None:
    layer = _packed(Precision(4))
    doubled = layer.weight * 2
    layer.scale = layer.scale * 2
    assert torch.equal(layer.weight, doubled)


def test_copies_and_pickles_hold_only_the_packed_weight() -> None:
    layer = _packed(Precision(2))
    fresh = len(pickle.dumps(layer))
    wanted = layer.weight
    assert len(pickle.dumps(layer)) == fresh
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    for other in (
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
        torch.load(buffer, weights_only=False),
    ):
        assert other.weight is not wanted
        assert torch.equal(other.weight, wanted)


def test_the_meta_device_and_back() -> None:
    source = _packed(Precision(3, "half"))
    with torch.device("meta"):
        layer = PackedLinear(COLUMNS, ROWS, source.precision)
    assert layer.weight.is_meta
    assert layer.weight.shape == (ROWS, COLUMNS)
    layer.load_state_dict(source.state_dict(), assign=True)
    assert torch.equal(layer.weight, source.weight)

    emptied = PackedLinear(COLUMNS, ROWS, source.precision, device="meta").to_empty(device="cpu")
    emptied.load_state_dict(source.state_dict())
    assert torch.equal(emptied.weight, source.weight)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_cast_leaves_the_scales_exact(dtype: torch.dtype) -> None:
    layer = _packed(Precision(4))
    weight, scale = layer.weight, layer.scale
    layer.to(dtype)
    assert layer.scale.dtype == torch.float32
    assert layer.bias is not None and layer.bias.dtype == dtype
    assert torch.equal(layer.weight, weight.to(dtype))
    assert torch.equal(layer.scale, scale)
    assert layer(torch.randn(2, COLUMNS, dtype=dtype)).dtype == dtype
    assert torch.equal(layer.float().weight, weight)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same_weight() -> None:
    for bits in STORABLE_BITS:
        layer = _packed(Precision(bits, "half"))
        weight = layer.weight
        assert layer.cuda().weight.is_cuda
        assert torch.equal(layer.weight.cpu(), weight)
        assert torch.equal(layer.cpu().weight, weight)


def test_a_weight_first_used_in_inference_mode_serves_gradients_later() -> None:
    layer = _packed(Precision(4))
    with torch.inference_mode():
        layer(torch.randn(2, COLUMNS))
    inputs = torch.randn(2, COLUMNS, requires_grad=True)
    layer(inputs).sum().backward()
    assert inputs.grad is not None


def test_the_repr_says_how_the_weight_is_stored() -> None:
    assert repr(_packed(Precision(4, "half"))) == (
        "PackedLinear(in_features=19, out_features=7, bias=True, bits=4, grid=half, "
        "granularity=channel)"
    )


def test_what_cannot_be_packed_is_refused() -> None:
    weight, scale = torch.randn(ROWS, COLUMNS), torch.ones(ROWS)
    with pytest.raises(InputError, match="7 rows has 1 scales; granularity 'channel' needs 7"):
        PackedLinear.from_weight(weight, torch.ones(1), Precision(4))
    for bad_scale in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="not a positive number"):
            PackedLinear.from_weight(weight, scale * bad_scale, Precision(4))
    weight[0, 0] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        PackedLinear.from_weight(weight, scale, Precision(4))


def test_layers_are_replaced_as_planned() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2, bias=False))
    plan = Plan({"0": Precision(2), "2": Precision(8, granularity="tensor")})
    replace_layers(model, plan)
    assert plan_of(model) == plan
    assert model[2].bias is None
    assert model(torch.ones(1, 4)).shape == (1, 2)


def test_a_plan_of_another_model_is_refused_by_layer() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    with pytest.raises(InputError, match="layer '5' of the plan is not in Sequential"):
        replace_layers(model, Plan({"5": Precision(2)}))
    with pytest.raises(InputError, match="layer '1' of the plan is a ReLU of Sequential"):
        replace_layers(model, Plan({"1": Precision(2)}))


@pytest.mark.parametrize(
    "geometry",
    [{"stride": 2}, {"padding": 3, "groups": 2}, {"padding": "same", "dilation": 2, "bias": False}],
)
def test_a_convolution_computes_with_the_values_of_its_grid(geometry: dict[str, Any]) -> None:
    torch.manual_seed(0)
    conv = nn.Conv1d(6, 4, 5, **geometry)
    precision = Precision(4)
    grid = grid_of(precision.grid, precision.bits)
    scale = conv.weight.detach().abs().amax((1, 2)) / grid.largest
    packed = empty_packed(conv, precision).store(conv.weight, scale, conv.bias)
    across = scale[:, None, None]
    conv.weight.data = grid.values(grid.round_to_codes(conv.weight.detach(), across), across)
    conv.requires_grad_(False)
    inputs = torch.randn(2, 6, 31)
    assert torch.equal(packed(inputs), conv(inputs))
    assert packed.weight.shape == conv.weight.shape
    assert packed.codes.shape == (4, -(-conv.weight[0].numel() // 2))


def test_only_zero_padding_can_be_packed() -> None:
    with pytest.raises(InputError, match="padded with 'circular' cannot be packed"):
        empty_packed(nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular"), Precision(8))
