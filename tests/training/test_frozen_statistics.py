"""Batch norms of a Conformer: their statistics train only where everything else does too."""

from collections.abc import Callable

import pytest
import torch
from accelerate import Accelerator
from tiny import noise
from torch import Tensor

from sottovoce.config.recipe import Recipe, Training
from sottovoce.models.recogniser import Recogniser
from sottovoce.search.joint import JointObjective
from sottovoce.training.batch import Batch
from sottovoce.training.full_precision import FullPrecision
from sottovoce.training.loop import Update

MakeRecogniser = Callable[..., Recogniser]
CONFORMERS = ("wav2vec2-conformer", "parakeet_ctc")
BATCH = Batch(("u0", "u1"), (noise(0.4), noise(0.3, seed=1)), ((5, 6), (7,)), 70, 0.7)


def _statistics(recogniser: Recogniser) -> dict[str, Tensor]:
    buffers = recogniser.model.named_buffers()
    return {name: one.clone() for name, one in buffers if "running" in name}


@pytest.mark.parametrize("from_scratch", [False, True])
@pytest.mark.parametrize("family", CONFORMERS)
def test_fine_tuning_keeps_them_and_training_from_scratch_does_not(
    make_recogniser: MakeRecogniser, family: str, from_scratch: bool
) -> None:
    recogniser = make_recogniser(family)
    before = _statistics(recogniser)
    recipe = Training(train_front_end=from_scratch)
    objective = FullPrecision(recogniser, recipe, Accelerator())
    with recogniser.evaluating():
        assert not any(module.training for module in recogniser.model.modules())
    objective.update(BATCH, Update(0, 1))
    after = _statistics(recogniser)
    assert len(before) == 4
    assert all(torch.equal(after[name], one) != from_scratch for name, one in before.items())


@pytest.mark.parametrize("family", CONFORMERS)
def test_compressing_keeps_them(make_recogniser: MakeRecogniser, family: str) -> None:
    recogniser = make_recogniser(family)
    before = _statistics(recogniser)
    recipe = Recipe(teacher="live", students="all", train_front_end=True)
    JointObjective(recogniser, recipe, Accelerator()).update(BATCH, Update(0, 4))
    assert recogniser.model.training
    after = _statistics(recogniser)
    assert all(torch.equal(after[name], one) for name, one in before.items())
