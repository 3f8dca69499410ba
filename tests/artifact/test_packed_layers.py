import copy
import io
import pickle
from typing import Any

import pytest
import torch
from precisions import EVERY_PRECISION, GRIDS_OF, described
from torch import nn

from sottovoce.artifact.checks import check_codes
from sottovoce.artifact.packed_layers import PackedLinear, empty_packed
from sottovoce.artifact.packed_model import plan_of, replace_layers
from sottovoce.errors import InputError
from sottovoce.quantization.affine import Affine
from sottovoce.quantization.fake_quantize import fake_quantize
from sottovoce.quantization.learned_scales import LearntAffine
from sottovoce.quantization.plan import Plan, Precision
from sottovoce.quantization.ranges import initial_affine

ROWS, COLUMNS = 7, 19


def _packed(precision: Precision, seed: int = 0) -> PackedLinear:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(ROWS, COLUMNS, generator=generator)
    groups = precision.groups((ROWS, COLUMNS))
    scale = torch.rand(groups, generator=generator) * 0.3 + 0.1
    offset = torch.randn(groups, generator=generator) if precision.grid == "asymmetric" else None
    return PackedLinear.from_weight(weight, Affine(scale, offset), precision, torch.randn(ROWS))


@pytest.mark.parametrize("precision", EVERY_PRECISION, ids=described)
def test_the_weight_is_bit_identical_to_training(precision: Precision) -> None:
    weight, quantizer = torch.randn(ROWS, COLUMNS), precision.quantizer
    learnt = LearntAffine(weight, quantizer, "max")
    with torch.no_grad():
        for one in learnt.parameters():
            one.add_(0.3 * torch.randn(one.shape))
    bias, inputs = torch.randn(ROWS), torch.randn(3, COLUMNS)
    trained = fake_quantize(weight, learnt(weight), quantizer).detach()
    layer = PackedLinear.from_weight(weight, learnt(weight), precision, bias)
    assert torch.equal(layer.weight, trained)
    assert torch.equal(layer(inputs), nn.functional.linear(inputs, trained, bias))
    again = PackedLinear(COLUMNS, ROWS, precision)
    again.load_state_dict(layer.state_dict())
    assert torch.equal(again.weight, trained)


def test_the_state_is_the_bytes_the_plan_counts() -> None:
    for precision in EVERY_PRECISION:
        layer = _packed(precision)
        _ = layer.weight
        offset = {"offset"} if precision.grid == "asymmetric" else set()
        assert set(layer.state_dict()) == {"codes", "scale", "bias"} | offset, precision
        stored = sum(one.nbytes for name, one in layer.state_dict().items() if name != "bias")
        assert stored == precision.stored_bytes((ROWS, COLUMNS)), precision


def test_a_block_as_long_as_a_row_is_stored_as_the_channel() -> None:
    weight = torch.randn(ROWS, COLUMNS)
    states = []
    for precision in (Precision(2, "asymmetric"), Precision(2, "asymmetric", "block", COLUMNS)):
        affine = initial_affine(weight, precision.quantizer, "l1")
        states.append(PackedLinear.from_weight(weight, affine, precision).state_dict())
    assert states[0].keys() == states[1].keys()
    for name, one in states[0].items():
        assert torch.equal(one, states[1][name])


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
@pytest.mark.parametrize(
    "precision", [Precision(4), Precision(2, "asymmetric", "block", 6, 16)], ids=described
)
def test_a_cast_leaves_the_scales_exact(precision: Precision, dtype: torch.dtype) -> None:
    layer = _packed(precision)
    weight, scale = layer.weight, layer.scale
    layer.to(dtype)
    assert layer.scale.dtype == (torch.float16 if precision.scale_bits else torch.float32)
    assert layer.bias is not None and layer.bias.dtype == dtype
    assert torch.equal(layer.weight, weight.to(dtype))
    assert torch.equal(layer.scale, scale)
    assert layer(torch.randn(2, COLUMNS, dtype=dtype)).dtype == dtype
    assert torch.equal(layer.float().weight, weight)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same_weight() -> None:
    for grid, bits in GRIDS_OF:
        layer = _packed(Precision(bits, grid, "block", 6))
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
    assert "granularity=block, block=8, scale_bits=16)" in repr(
        _packed(Precision(1, "half", "block", 8, 16))
    )


def test_what_cannot_be_packed_is_refused() -> None:
    weight, scale = torch.randn(ROWS, COLUMNS), torch.ones(ROWS, 1)
    for affine, precision, needed in (
        (Affine(torch.ones(1, 1)), Precision(4), r"\(7, 1\)"),
        (Affine(scale), Precision(4, "symmetric", "block", 5), r"\(7, 4\)"),
        (Affine(scale, scale), Precision(4), r"and offsets; it needs \(7, 1\)"),
        (Affine(scale), Precision(4, "asymmetric"), r"and no offsets; it needs \(7, 1\)"),
    ):
        with pytest.raises(InputError, match=needed):
            PackedLinear.from_weight(weight, affine, precision)
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="not a positive number"):
            PackedLinear.from_weight(weight, Affine(scale * bad), Precision(4))
    far = Affine(scale, scale * 1e5)
    PackedLinear.from_weight(weight, far, Precision(4, "asymmetric"))
    with pytest.raises(InputError, match="offset of 100000 does not fit in 16 bits"):
        PackedLinear.from_weight(weight, far, Precision(4, "asymmetric", scale_bits=16))
    weight[0, 0] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        PackedLinear.from_weight(weight, Affine(scale), Precision(4))


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
    quantizer, matrix = precision.quantizer, conv.weight.detach().flatten(1)
    affine = initial_affine(matrix, quantizer, "max")
    packed = empty_packed(conv, precision).store(conv.weight, affine, conv.bias)
    conv.weight.data = quantizer.rounded(matrix, affine).view_as(conv.weight)
    conv.requires_grad_(False)
    inputs = torch.randn(2, 6, 31)
    assert torch.equal(packed(inputs), conv(inputs))
    assert packed.weight.shape == conv.weight.shape
    assert packed.codes.shape == (4, -(-conv.weight[0].numel() // 2))


def test_only_zero_padding_can_be_packed() -> None:
    with pytest.raises(InputError, match="padded with 'circular' cannot be packed"):
        empty_packed(nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular"), Precision(8))


@pytest.mark.parametrize("zero", [-7.0, 12.5, 256.0])
def test_the_zero_of_the_inputs_is_one_of_their_codes(zero: float) -> None:
    """PyTorch would round with any number, an integer kernel with another one."""
    layer = PackedLinear(4, 3, Precision(8, input_bits=8))
    check_codes({"a.b": layer})
    layer.input_zero.fill_(zero)
    with pytest.raises(InputError, match=r"'a.b' has a zero of its inputs that is no code"):
        check_codes({"a.b": layer})
