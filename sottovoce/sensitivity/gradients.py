"""Gradients of the task loss by some matrices, at other values than their own."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sottovoce.models.recogniser import Recogniser
from sottovoce.sensitivity.replacing import replaced_weights
from sottovoce.training.batch import Batch


def gradients_at(
    recogniser: Recogniser, batch: Batch, weights: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the task loss's gradient by each of these layers, [rows, columns].

    Args:
        weights: layer -> the weight at which the gradient is taken, [rows, columns].
    """
    layers = {name: recogniser.model.get_submodule(name) for name in weights}
    with replaced_weights(layers, weights):
        with torch.no_grad():
            features = recogniser.features(batch.waveforms, batch.targets)
        loss = recogniser.head.task_loss(recogniser.logits(features), features)
        parameters = [layer.weight for layer in layers.values()]
        gradients = torch.autograd.grad(loss, parameters)
    return {name: gradient.flatten(1) for name, gradient in zip(layers, gradients, strict=True)}
