"""Where a recogniser's arithmetic is."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor, nn

from sottovoce.artifact.packed_layers import PackedEmbedding, PackedLayer
from sottovoce.models.recogniser import Recogniser
from sottovoce.ptq.effort import minutes_for
from sottovoce.ptq.layers import Layer


@torch.inference_mode()
def multiply_adds(
    recogniser: Recogniser, layers: Mapping[str, Layer | PackedLayer]
) -> dict[str, int]:
    """Layer name -> multiply-adds for a second of speech.

    A layer that is never called is left out, and so is an embedding. Attention's own products are
    in none of them.
    """
    counts: dict[str, int] = {}

    def hook(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def count(_: nn.Module, __: object, outputs: Tensor) -> None:
            weight = layers[name].weight
            counts[name] = outputs.numel() // len(weight) * weight.numel()

        return count

    with recogniser.evaluating(), ExitStack() as stack:
        for name, layer in layers.items():
            if not isinstance(layer, nn.Embedding | PackedEmbedding):
                stack.callback(layer.register_forward_hook(hook(name)).remove)
        second = np.random.default_rng(0).standard_normal(recogniser.sampling_rate)
        targets = [recogniser.head.sample_targets]
        recogniser.logits(recogniser.features([second.astype(np.float32)], targets))
    return counts


def calibration_minutes(recogniser: Recogniser) -> float:
    """How much speech calibrates it where the user does not say: less where it computes more."""
    layers = {
        name: layer
        for name, layer in recogniser.model.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | PackedLayer)
    }
    return minutes_for(sum(multiply_adds(recogniser, layers).values()))
