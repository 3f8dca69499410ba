"""Sensitivities against what they estimate, on a tiny recogniser."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from sottovoce.config.recipe import Recipe, Training
from sottovoce.models.features import Features
from sottovoce.models.heads.ctc import CtcHead
from sottovoce.models.recogniser import Recogniser
from sottovoce.quantization.plan import Precision
from sottovoce.search.supernet import Supernet
from sottovoce.sensitivity.hessian import hessian_traces
from sottovoce.sensitivity.measures import Matrices, hessian_costs, kl_costs, nas_costs
from sottovoce.speech.corpus import Corpus
from sottovoce.training.batch import Batch, TrainingSpeech
from sottovoce.training.losses import kl_divergence

MakeRecogniser = Callable[..., Recogniser]


def _matrices(make_recogniser: MakeRecogniser) -> Matrices:
    start = make_recogniser(initializer_range=0.2)
    supernet = Supernet(start, (Precision(2, "half"), Precision(8)), "mse")
    return {
        bits: {
            name: layer.quantized((bits,))[0].detach() for name, layer in supernet.layers.items()
        }
        for bits in (2, 8)
    }


@dataclass(frozen=True)
class _KnownLoss(CtcHead):
    """A head whose task loss is a function of the weights alone."""

    loss: Callable[[], torch.Tensor] = lambda: torch.zeros(())

    def task_loss(self, logits: torch.Tensor, features: Features) -> torch.Tensor:
        return self.loss()


@pytest.fixture
def batch(make_recogniser: MakeRecogniser, corpus: Corpus) -> Batch:
    return next(TrainingSpeech(corpus, make_recogniser()).batches(Training(), 0))


@pytest.mark.parametrize("measure", [kl_costs, hessian_costs])
def test_fewer_bits_cost_more_and_nothing_is_changed(
    make_recogniser: MakeRecogniser, batch: Batch, measure: Callable[..., np.ndarray]
) -> None:
    recogniser = make_recogniser(initializer_range=0.2)
    recogniser.model.train()
    before = {name: one.clone() for name, one in recogniser.model.state_dict().items()}
    costs = measure(recogniser, _matrices(make_recogniser), [batch], Recipe())
    assert costs.shape == (12, 2)
    assert (costs >= 0).all()
    assert costs[:, 0].sum() > 0
    assert recogniser.model.training
    after = recogniser.model.state_dict()
    assert all(torch.equal(one, after[name]) for name, one in before.items())
    assert all(one.grad is None for one in recogniser.model.parameters())


def test_the_kl_cost_is_that_of_one_layer_alone(
    make_recogniser: MakeRecogniser, batch: Batch
) -> None:
    matrices = _matrices(make_recogniser)
    plain, changed = (make_recogniser(initializer_range=0.2) for _ in range(2))
    costs = kl_costs(plain, matrices, [batch, batch], Recipe())
    name = list(matrices[2])[7]
    features = plain.features(batch.waveforms)
    with torch.no_grad():
        changed.model.get_submodule(name).weight.copy_(matrices[2][name])
        expected = kl_divergence(
            plain.logits(features), changed.logits(features), features.frame_mask
        )
    assert costs[7, 0] == pytest.approx(expected.item(), rel=1e-4)
    assert costs[7, 0] > costs[7, 1] >= 0


def test_traces_of_a_loss_that_is_known(make_recogniser: MakeRecogniser, batch: Batch) -> None:
    """L = sum_l c_l ||W_l||^2 / 2 has the traces c_l n_l, whatever is drawn."""
    recogniser = make_recogniser()
    layers = list(recogniser.family.shapes(recogniser.model))
    curvature = dict(zip(layers, np.linspace(-1.0, 3.0, len(layers)), strict=True))

    def loss() -> torch.Tensor:
        weights = {name: recogniser.model.get_submodule(name).weight for name in layers}
        return sum(curvature[name] * one.square().sum() / 2 for name, one in weights.items())

    recogniser.head = _KnownLoss(recogniser.head.labels, loss=loss)
    found = hessian_traces(recogniser, layers, [batch, batch], 0)
    sizes = [np.prod(shape) for shape in recogniser.family.shapes(recogniser.model).values()]
    expected = np.array(list(curvature.values())) * sizes
    np.testing.assert_allclose(found, expected, rtol=1e-2)

    matrices = _matrices(make_recogniser)
    costs = hessian_costs(recogniser, matrices, [batch], Recipe())
    weight = recogniser.model.get_submodule(layers[5]).weight
    error = (matrices[2][layers[5]] - weight).square().sum().item()
    assert costs[5, 0] == pytest.approx(expected[5] * error, rel=1e-2)
    assert (costs[0] == 0).all()  # its trace is negative


def test_architecture_search_learns_nothing_where_nothing_matters(
    make_recogniser: MakeRecogniser, batch: Batch
) -> None:
    recogniser, matrices = make_recogniser(), _matrices(make_recogniser)
    weights = [recogniser.model.get_submodule(name).weight for name in matrices[2]]

    def loss() -> torch.Tensor:
        return sum((0.0 * one.sum() for one in weights), start=torch.zeros(()))

    recogniser.head = _KnownLoss(recogniser.head.labels, loss=loss)
    costs = nas_costs(recogniser, matrices, [batch] * 2, Recipe(bits=5.5))
    assert (costs == 0).all()


def test_architecture_search_learns_which_layers_must_be_wide(
    make_recogniser: MakeRecogniser, batch: Batch
) -> None:
    """L = sum_l c_l ||W_l - W_l at 8 bits||^2: the layers of large c_l cost most at 2 bits."""
    recogniser, matrices = make_recogniser(), _matrices(make_recogniser)
    layers = list(matrices[2])
    matters = dict(zip(layers, [100.0, 0.0] * 6, strict=True))

    def loss() -> torch.Tensor:
        weights = {name: recogniser.model.get_submodule(name).weight for name in layers}
        apart = (matters[n] * (one - matrices[8][n]).square().mean() for n, one in weights.items())
        return sum(apart, start=torch.zeros(()))

    recogniser.head = _KnownLoss(recogniser.head.labels, loss=loss)
    before = {name: one.clone() for name, one in recogniser.model.state_dict().items()}
    costs = nas_costs(recogniser, matrices, [batch] * 5, Recipe(bits=5.5))
    extra = costs[:, 0] - costs[:, 1]
    assert extra[::2].min() > 0
    assert extra[::2].min() > extra[1::2].max()
    after = recogniser.model.state_dict()
    assert all(torch.equal(one, after[name]) for name, one in before.items())
    assert (costs == nas_costs(recogniser, matrices, [batch] * 5, Recipe(bits=5.5))).all()
