from typing import Any

import pytest
import torch
from torch import nn

from sottovoce.config.recipe import Training
from sottovoce.errors import InputError
from sottovoce.training.batch import Batch
from sottovoce.training.loop import (
    LrSchedule,
    ParameterGroup,
    Update,
    build_optimizer,
    make_update,
    warmup_linear_decay,
)

RECIPE = Training(learning_rate=0.1, warmup=0.4, max_grad_norm=1.0)
NOTHING = Batch((), (), (), 0, 0.0)


class Slope:
    """L = <slope, w> with one parameter whose rate follows the schedule and one whose does not."""

    def __init__(self, slope: float) -> None:
        self.slope = slope
        self.scheduled = nn.Parameter(torch.zeros(2, 2))
        self.constant = nn.Parameter(torch.zeros(3))

    def parameter_groups(self) -> list[ParameterGroup]:
        return [
            ParameterGroup([self.scheduled], RECIPE.learning_rate),
            ParameterGroup([self.constant], 0.05, scheduled=False),
        ]

    def lr_schedule(self, update: Update) -> LrSchedule:
        return LrSchedule(
            warmup_linear_decay(update, RECIPE.warmup), reset_optimizer=update.index == 5
        )

    def update(self, batch: Batch, update: Update) -> dict[str, Any]:
        loss = self.slope * (self.scheduled.sum() + self.constant.sum())
        (loss + self.slope).backward()
        return {"loss": loss.item() + self.slope}


def made(
    objective: Slope, index: int, batch: Batch = NOTHING
) -> tuple[dict[str, Any], torch.optim.AdamW]:
    groups = objective.parameter_groups()
    optimizer = build_optimizer(groups)
    update = Update(index, total=10)
    return make_update(objective, groups, optimizer, batch, update, RECIPE), optimizer


def test_each_group_moves_at_its_own_rate() -> None:
    objective = Slope(0.1)
    told, _ = made(objective, 0)
    # Adam's first step is the learning rate itself, against the gradient's sign.
    assert told["learning_rate"] == pytest.approx(0.1 / 4)  # the first of four updates of warm-up
    torch.testing.assert_close(objective.scheduled.data, torch.full((2, 2), -0.1 / 4))
    torch.testing.assert_close(objective.constant.data, torch.full((3,), -0.05))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_too_little_memory_says_what_to_turn(error: Exception) -> None:
    class Large(Slope):
        def update(self, batch: Batch, update: Update) -> dict[str, Any]:
            raise error

    with pytest.raises(InputError, match=r"out of memory with batches of 101 s .* lower --seconds"):
        made(Large(0.1), 0)
    alone = Batch(("long",), (), ((),), 0, 240.0)
    with pytest.raises(InputError, match=r"out of memory with utterance long alone, 240 s: cut"):
        made(Large(0.1), 0, alone)


def test_other_failures_are_not_called_a_lack_of_memory() -> None:
    class Broken(Slope):
        def update(self, batch: Batch, update: Update) -> dict[str, Any]:
            raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        made(Broken(0.1), 0)


def test_moments_are_forgotten_where_the_objective_says_so() -> None:
    objective = Slope(0.1)
    groups = objective.parameter_groups()
    optimizer = build_optimizer(groups)
    steps = []
    for index in range(4, 7):
        update = Update(index, total=10)
        make_update(objective, groups, optimizer, NOTHING, update, RECIPE)
        steps.append(optimizer.state[objective.scheduled]["step"].item())
    assert steps == [1, 1, 2]


def test_scheduled_gradients_are_clipped_together_and_all_are_cleared() -> None:
    objective = Slope(50.0)
    _, optimizer = made(objective, 3)
    # Four equal gradients of joint norm 1; Adam keeps a tenth of each. The others stay as they are.
    for parameter, gradient in ((objective.scheduled, 4**-0.5), (objective.constant, 50.0)):
        moment = optimizer.state[parameter]["exp_avg"]
        torch.testing.assert_close(moment, torch.full_like(moment, 0.1 * gradient))
    assert objective.scheduled.grad is None
    assert objective.constant.grad is None


def test_a_loss_that_is_not_finite_stops_before_anything_moves() -> None:
    objective = Slope(float("inf"))
    with pytest.raises(InputError, match="at update 3; lower --learning-rate"):
        made(objective, 2)
    assert objective.constant.eq(0).all()
