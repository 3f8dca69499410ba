"""Means of divergence over batches, and weights that are replaced for a while."""

from collections.abc import Callable

import pytest
import torch
from tiny import noise

from sottovoce.models.recogniser import Recogniser
from sottovoce.sensitivity.replacing import replaced_weights
from sottovoce.sensitivity.rounding import cost_table, rounding_trials
from sottovoce.sensitivity.trials import TriedBatch, divergences

MakeRecogniser = Callable[..., Recogniser]


@pytest.fixture
def recogniser(make_recogniser: MakeRecogniser) -> Recogniser:
    return make_recogniser(initializer_range=0.3)


def _layers(recogniser: Recogniser) -> dict[str, torch.nn.Module]:
    names = list(recogniser.family.shapes(recogniser.model))[4:7]
    return {name: recogniser.model.get_submodule(name) for name in names}


@pytest.mark.parametrize("by_positions", [False, True])
def test_batches_count_as_they_are_weighed(recogniser: Recogniser, by_positions: bool) -> None:
    layers = _layers(recogniser)
    rounded = {
        name: {2: layer.weight.detach().sign() * 0.3, 8: layer.weight.detach() * 1.01}
        for name, layer in layers.items()
    }
    trials = rounding_trials(layers, rounded)
    with recogniser.evaluating():
        batches = [
            TriedBatch(recogniser, [noise(0.2), noise(0.3, seed=1)]),
            TriedBatch(recogniser, [noise(0.5, seed=2)]),
        ]
    seen: list[TriedBatch] = []

    def weight(batch: TriedBatch) -> float:
        return batch.positions if by_positions else 1.0

    found = divergences(recogniser, trials, batches, weight, seen.append)
    assert seen == [batch for batch in batches for _ in trials]
    shares = torch.tensor([weight(batch) for batch in batches]).double()
    shares /= shares.sum()
    assert (shares[0] == shares[1]) != by_positions
    with recogniser.evaluating(), torch.no_grad():
        for (name, width), divergence in found.items():
            full = [recogniser.logits(batch.features).double() for batch in batches]
            with replaced_weights(layers, {name: rounded[name][width]}):
                under = [recogniser.logits(batch.features).double() for batch in batches]
            each = []
            for batch, teacher, student in zip(batches, full, under, strict=True):
                kl = (teacher.softmax(2) * (teacher.log_softmax(2) - student.log_softmax(2))).sum(2)
                each.append(kl[batch.features.frame_mask].mean())
            expected = float(shares @ torch.stack(each))
            assert divergence == pytest.approx(expected, rel=1e-3)
    table = cost_table(found)
    assert table.shape == (3, 2)
    assert table[1].tolist() == [found[list(layers)[1], 2], found[list(layers)[1], 8]]


def test_replaced_weights_come_back_whatever_happens(recogniser: Recogniser) -> None:
    layers = _layers(recogniser)
    before = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    weights = {name: torch.ones(layer.weight.numel()) for name, layer in layers.items()}
    with pytest.raises(ZeroDivisionError), replaced_weights(layers, weights):
        assert all((layer.weight == 1).all() for layer in layers.values())
        raise ZeroDivisionError
    assert all(torch.equal(layer.weight, before[name]) for name, layer in layers.items())
    weights[list(layers)[2]] = torch.ones(3)  # the third cannot be: the first two come back
    with pytest.raises(RuntimeError), replaced_weights(layers, weights):
        pass
    assert all(torch.equal(layer.weight, before[name]) for name, layer in layers.items())
