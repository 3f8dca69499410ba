"""A supernet's networks against plain models and plain autograd."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from tiny import FAMILIES, noise
from torch import Tensor, nn
from transformers import set_seed

from sottovoce.models.recogniser import Recogniser
from sottovoce.quantization.fake_quantize import fake_quantize
from sottovoce.quantization.plan import Precision
from sottovoce.search.supernet import FULL, MIXED, PLAN, QuantizedStep, Supernet, width_groups

CANDIDATES = (Precision(2, "half"), Precision(4), Precision(8, "full", "tensor"))
WAVEFORMS = [noise(0.3), noise(0.2, seed=1)]
MakeRecogniser = Callable[..., Recogniser]


def _supernet(recogniser: Recogniser) -> Supernet:
    return Supernet(recogniser, CANDIDATES, "mse")


def _logits(
    recogniser: Recogniser, step: QuantizedStep | None = None, network: str | int = FULL
) -> Tensor:
    targets = [recogniser.head.sample_targets[:9]] * len(WAVEFORMS)
    features = recogniser.features(WAVEFORMS, targets)
    if step is None:
        return recogniser.logits(features)
    with step.running(network):
        return recogniser.logits(features)


def _mixtures(supernet: Supernet, requires_grad: bool = False) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand(len(supernet.layers), len(CANDIDATES), generator=generator)
    shares = drawn / drawn.sum(1, keepdim=True)
    rows = [row.clone().requires_grad_(requires_grad) for row in shares]
    return dict(zip(supernet.layers, rows, strict=True))


def _quantize_linear_layers(model: nn.Module, supernet: Supernet, bits: dict[str, int]) -> None:
    """Overwrite a plain model's encoder matrices by what `supernet` would serve."""
    for name, width in bits.items():
        layer = supernet.layers[name]
        index = [one.bits for one in CANDIDATES].index(width)
        with torch.no_grad():
            quantized = fake_quantize(
                layer.latent, layer.affines[index](layer.latent), layer.quantizers[index]
            )
            weight = model.get_submodule(name).weight
            weight.copy_(quantized.view_as(weight))


def _widths(supernet: Supernet) -> list[int]:
    return [(2, 4, 8, 8, 2, 4)[k % 6] for k in range(len(supernet.layers))]


@pytest.mark.parametrize("family", FAMILIES)
def test_full_precision_is_the_original_model(make_recogniser: MakeRecogniser, family: str) -> None:
    recogniser = make_recogniser(family)
    with torch.no_grad():
        before = _logits(recogniser)
        supernet = _supernet(recogniser)
        assert len(supernet.layers) in (12, 20, 22, 32)
        assert torch.equal(_logits(recogniser), before)
        step = supernet.quantize([2])
        assert torch.equal(_logits(recogniser, step, FULL), before)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_student_is_a_plain_model_with_quantized_weights(
    make_recogniser: MakeRecogniser, family: str, bits: int
) -> None:
    plain, recogniser = make_recogniser(family), make_recogniser(family)
    supernet = _supernet(recogniser)
    _quantize_linear_layers(plain.model, supernet, dict.fromkeys(supernet.layers, bits))
    with torch.no_grad():
        student = _logits(recogniser, supernet.quantize([4, bits]), bits)
        torch.testing.assert_close(student, _logits(plain))
        assert not torch.equal(student, _logits(recogniser))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_plan_is_a_plain_model_with_quantized_weights(
    make_recogniser: MakeRecogniser, family: str
) -> None:
    plain, recogniser = make_recogniser(family), make_recogniser(family)
    supernet = _supernet(recogniser)
    plan = supernet.plan(_widths(supernet))
    _quantize_linear_layers(plain.model, supernet, {name: one.bits for name, one in plan.items()})
    recogniser.model.train()
    with torch.no_grad(), supernet.deployed(plan) as deployed:
        assert not recogniser.model.training
        torch.testing.assert_close(_logits(deployed), _logits(plain))
    assert recogniser.model.training


@pytest.mark.parametrize("family", FAMILIES)
def test_a_one_hot_mixture_is_its_plan(make_recogniser: MakeRecogniser, family: str) -> None:
    recogniser = make_recogniser(family)
    supernet = _supernet(recogniser)
    widths = _widths(supernet)
    plan = supernet.plan(widths)
    one_hot = {
        name: torch.tensor([float(bits == width) for bits in (2, 4, 8)])
        for name, width in zip(supernet.layers, widths, strict=True)
    }
    step = supernet.quantize([2, 8], one_hot, plan)
    with torch.no_grad():
        planned, mixed = _logits(recogniser, step, PLAN), _logits(recogniser, step, MIXED)
    torch.testing.assert_close(mixed, planned)


def test_weights_are_the_latent_ones_again_after_an_exception(
    make_recogniser: MakeRecogniser,
) -> None:
    recogniser = make_recogniser()
    supernet = _supernet(recogniser)
    plan = supernet.plan([2] * 12)
    for context in (supernet.quantize([2]).running(2), supernet.deployed(plan)):
        with pytest.raises(ZeroDivisionError), context:
            assert all(layer.weight is not layer.latent for layer in supernet.layers.values())
            raise ZeroDivisionError
    assert all(layer.weight is layer.latent for layer in supernet.layers.values())


def _loss(logits: Tensor, seed: int) -> Tensor:
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(seed))
    return (weights * logits.log_softmax(2)).sum()


def _gradients(supernet: Supernet, mixtures: dict[str, Tensor]) -> dict[str, Tensor]:
    parameters = dict(supernet.recogniser.model.named_parameters())
    found = {**parameters, **{f"mixture of {name}": one for name, one in mixtures.items()}}
    return {name: one.grad.clone() for name, one in found.items() if one.grad is not None}


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_of_all_networks_add_up_as_in_one_graph(
    make_recogniser: MakeRecogniser, family: str
) -> None:
    recogniser = make_recogniser(family)
    supernet = _supernet(recogniser)
    reference = deepcopy(supernet)
    networks = (FULL, MIXED, 2, 8)

    mixtures = _mixtures(supernet, requires_grad=True)
    step = supernet.quantize([2, 8], mixtures)
    for seed, network in enumerate(networks):
        _loss(_logits(recogniser, step, network), seed).backward()
        step.collect(network)

    of_reference = _mixtures(reference, requires_grad=True)
    quantized = {
        name: dict(zip((2, 8, MIXED), layer.quantized((2, 8), of_reference[name]), strict=True))
        for name, layer in reference.layers.items()
    }
    total = torch.zeros(())
    for seed, network in enumerate(networks):
        for name, layer in reference.layers.items():
            layer.use(layer.latent if network == FULL else quantized[name][network])
        total = total + _loss(_logits(reference.recogniser), seed)
    total.backward()

    found, expected = _gradients(supernet, mixtures), _gradients(reference, of_reference)
    assert found.keys() == expected.keys()
    assert any("scales.1.log_scale" in name for name in found)  # 4 bits is in the mixture alone
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-5, msg=name)


def test_what_a_plan_does_not_use_gets_no_gradient(make_recogniser: MakeRecogniser) -> None:
    recogniser = make_recogniser()
    supernet = _supernet(recogniser)
    step = supernet.quantize(plan=supernet.plan([4] * 12))
    _loss(_logits(recogniser, step, PLAN), 0).backward()
    step.collect(PLAN)
    for layer in supernet.layers.values():
        used, unused = (one.log_scale.grad for one in (layer.affines[1], layer.affines[0]))
        assert used is not None
        assert bool(used.any())
        assert unused is None or not bool(unused.any())


def test_networks_of_an_update_share_masks_and_dropout(make_recogniser: MakeRecogniser) -> None:
    recogniser = make_recogniser(mask_time_prob=0.5, hidden_dropout=0.3, attention_dropout=0.3)
    recogniser.model.train()
    supernet = _supernet(recogniser)
    step = supernet.quantize([8])
    with torch.no_grad():
        runs = []
        for seed, network in ((1, FULL), (1, FULL), (2, FULL), (1, 8)):
            set_seed(seed)
            runs.append(_logits(recogniser, step, network))
    first, again, otherwise, student = runs
    assert torch.equal(first, again)
    to_student = (first - student).norm()
    assert to_student < 0.2 * (first - otherwise).norm()


@pytest.mark.parametrize("family", FAMILIES)
def test_taking_the_supernet_apart_leaves_the_float_model(
    make_recogniser: MakeRecogniser, family: str
) -> None:
    recogniser = make_recogniser(family)
    with torch.no_grad():
        before = _logits(recogniser)
        names = list(recogniser.model.state_dict())
        _supernet(recogniser).dismantle()
        assert torch.equal(_logits(recogniser), before)
    assert list(recogniser.model.state_dict()) == names


@pytest.mark.parametrize(
    ("granularity", "expected"),
    [
        ("matrix", list(range(12))),
        ("module", [0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3]),
        ("block", [0] * 6 + [1] * 6),
    ],
)
def test_matrices_share_a_width_with_their_group(
    make_recogniser: MakeRecogniser, granularity: str, expected: list[int]
) -> None:
    recogniser = make_recogniser()
    matrices = recogniser.family.encoder_matrices(recogniser.model)
    assert width_groups(matrices, granularity) == expected


def test_a_conformer_layer_has_four_modules(make_recogniser: MakeRecogniser) -> None:
    recogniser = make_recogniser("parakeet_ctc")
    matrices = recogniser.family.encoder_matrices(recogniser.model)
    first = [0, 0, *[1] * 5, 2, 2, 3, 3]
    assert width_groups(matrices, "module") == [*first, *(group + 4 for group in first)]
