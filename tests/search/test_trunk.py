"""Networks that share a trunk against networks that each run it themselves."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny import noise
from torch import Tensor
from transformers import set_seed

from sottovoce.models.recogniser import Recogniser
from sottovoce.quantization.plan import Precision
from sottovoce.search.supernet import FULL, Supernet
from sottovoce.search.trunk import SharedTrunk

WAVEFORMS = [noise(0.3), noise(0.2, seed=1)]
NETWORKS = (2, FULL, 8)
NOISY = {
    "hidden_dropout": 0.3,
    "feat_proj_dropout": 0.3,
    "layerdrop": 0.5,
}
TRANSFORMERS = ("wav2vec2", "hubert", "wavlm")
MakeRecogniser = Callable[..., Recogniser]


def _networks(recogniser: Recogniser, *, shared: bool) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Logits of each network in train mode, and the gradients of all of them together."""
    supernet = Supernet(recogniser, (Precision(2, "half"), Precision(8)), "mse")
    step, trunk, logits = supernet.quantize([2, 8]), SharedTrunk(recogniser), []
    recogniser.model.train()
    features = recogniser.features(WAVEFORMS)
    for seed, network in enumerate(NETWORKS):
        set_seed(3)
        if not shared:
            trunk, features = SharedTrunk(recogniser), recogniser.features(WAVEFORMS)
        with step.running(network), trunk.running():
            found = recogniser.logits(features)
        weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(seed))
        (found * weights).sum().backward()
        step.collect(network)
        if not shared:
            trunk.backward()
        logits.append(found.detach())
    if shared:
        trunk.backward()
    parameters = recogniser.model.named_parameters()
    return logits, {name: one.grad for name, one in parameters if one.grad is not None}


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        *((one, NOISY | {"do_stable_layer_norm": False}) for one in TRANSFORMERS),
        *((one, NOISY | {"do_stable_layer_norm": True}) for one in TRANSFORMERS),
        ("wav2vec2-conformer", NOISY),
        ("wav2vec2-bert", NOISY),
        ("parakeet_ctc", {"dropout": 0.3, "dropout_positions": 0.3, "layerdrop": 0.5}),
    ],
)
@pytest.mark.parametrize("trained", [False, True])
def test_sharing_changes_nothing(
    make_recogniser: MakeRecogniser, family: str, changes: dict[str, Any], trained: bool
) -> None:
    one, other = make_recogniser(family, **changes), make_recogniser(family, **changes)
    for recogniser in (one, other):
        for parameter in recogniser.front_end_parameters:
            parameter.requires_grad = trained
    logits, gradients = _networks(one, shared=True)
    expected_logits, expected = _networks(other, shared=False)
    for found, wanted in zip(logits, expected_logits, strict=True):
        assert torch.equal(found, wanted)
    assert not torch.equal(logits[0], logits[1])
    for path in one.family.trunk:
        assert any(path in name for name in gradients)
    _assert_equal_but_for_rounding(gradients, expected)


def test_a_trunk_of_one_network_is_the_plain_model(make_recogniser: MakeRecogniser) -> None:
    recogniser = make_recogniser(**NOISY)
    recogniser.model.train()
    features = recogniser.features(WAVEFORMS)
    set_seed(3)
    plain = recogniser.logits(features)
    plain.sum().backward()
    expected = {name: one.grad.clone() for name, one in _with_gradients(recogniser)}
    recogniser.model.zero_grad()
    trunk = SharedTrunk(recogniser)
    features = recogniser.features(WAVEFORMS)
    set_seed(3)
    with trunk.running():
        logits = recogniser.logits(features)
    logits.sum().backward()
    trunk.backward()
    assert torch.equal(logits, plain)
    gradients = {name: one.grad for name, one in _with_gradients(recogniser)}
    _assert_equal_but_for_rounding(gradients, expected)


def test_the_trunk_runs_once(make_recogniser: MakeRecogniser) -> None:
    recogniser = make_recogniser()
    recogniser.model.train()
    runs: list[str] = []
    for path in recogniser.family.trunk:
        inside = next(iter(recogniser.backbone.get_submodule(path).children()))
        inside.register_forward_hook(lambda *_, path=path: runs.append(path))
    features, trunk = recogniser.features(WAVEFORMS), SharedTrunk(recogniser)
    for _ in range(3):
        with trunk.running():
            recogniser.logits(features)
    assert runs == list(recogniser.family.trunk)


def _assert_equal_but_for_rounding(
    gradients: dict[str, Tensor], expected: dict[str, Tensor]
) -> None:
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        unit = expected[name].abs().max().clamp_min(1e-30)
        torch.testing.assert_close(gradient / unit, expected[name] / unit, rtol=0, atol=1e-5)


def _with_gradients(recogniser: Recogniser) -> list[tuple[str, Any]]:
    named = recogniser.model.named_parameters()
    return [(name, one) for name, one in named if one.grad is not None]
