"""Plain full-precision fine-tuning: the start point of a compression, and the baseline (U1 in
xu2025)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from accelerate import Accelerator
from torch import nn

from sottovoce.config.recipe import Training
from sottovoce.models.recogniser import Recogniser
from sottovoce.training.batch import Batch
from sottovoce.training.loop import (
    LrSchedule,
    ParameterGroup,
    Update,
    prefixed_state,
    restore_module,
    warmup_linear_decay,
)
from sottovoce.training.state import Saved


class FullPrecision:
    """The task loss alone.

    The convolutional front end stays frozen unless the recipe trains it, and so do the statistics
    of batch norms: a start point has its own, training from scratch none.
    """

    def __init__(self, recogniser: Recogniser, recipe: Training, accelerator: Accelerator) -> None:
        self.recogniser = recogniser
        self.recipe = recipe
        self.accelerator = accelerator
        self.recogniser.model.to(accelerator.device).train()
        if not recipe.train_front_end:
            freeze_front_end(recogniser)
            freeze_statistics(recogniser)

    def parameter_groups(self) -> list[ParameterGroup]:
        return weight_groups(self.recogniser.model, self.recipe)

    def lr_schedule(self, update: Update) -> LrSchedule:
        return LrSchedule(warmup_linear_decay(update, self.recipe.warmup))

    def update(self, batch: Batch, update: Update) -> dict[str, Any]:  # noqa: ARG002
        features = self.recogniser.features(batch.waveforms, batch.targets)
        with self.accelerator.autocast():
            logits = self.recogniser.logits(features)
        loss = self.recogniser.head.task_loss(logits, features)
        self.accelerator.backward(loss)
        return {"loss": loss.item()}

    @contextmanager
    def deployed(self) -> Iterator[Recogniser]:
        yield self.recogniser

    def state(self) -> Saved:
        return Saved(prefixed_state("model", self.recogniser.model), {})

    def restore(self, state: Saved) -> None:
        restore_module("model", self.recogniser.model, state.tensors)


def freeze_front_end(recogniser: Recogniser) -> None:
    """No gradients for the convolutional front end, as fine-tuning has it everywhere."""
    for parameter in recogniser.front_end_parameters:
        parameter.requires_grad = False


def freeze_statistics(recogniser: Recogniser) -> None:
    """Batch norms use the statistics that they came with, as they will when they are served.

    A batch's own would depend on its padding and on which of a supernet's networks has just run.
    """
    for module in recogniser.model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def weight_groups(
    model: nn.Module, recipe: Training, apart: frozenset[int] = frozenset()
) -> list[ParameterGroup]:
    """A model's trainable parameters: matrices decay, vectors do not.

    Args:
        apart: ids of parameters that get groups of their own elsewhere.
    """
    trained = [one for one in model.parameters() if one.requires_grad and id(one) not in apart]
    matrices = [one for one in trained if one.ndim > 1]
    vectors = [one for one in trained if one.ndim <= 1]
    return [
        ParameterGroup(matrices, recipe.learning_rate, recipe.weight_decay),
        ParameterGroup(vectors, recipe.learning_rate),
    ]
