"""Post-training mixed precision: each matrix's width by what rounding it costs, without labels.

Every encoder matrix is rounded at every candidate width (GPTQ where its inputs can be seen); a
width's cost is the divergence of the frame distributions with that matrix alone rounded; costs add
up, and the plan of least cost within the size is found exactly.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from sottovoce.errors import naming
from sottovoce.models.recogniser import Recogniser
from sottovoce.plan import Precision
from sottovoce.posttraining.gptq import compensated, second_moments
from sottovoce.posttraining.layers import Layer, Quantized, rounded
from sottovoce.posttraining.observing import Waveforms
from sottovoce.posttraining.replay import Replay
from sottovoce.search.allocation import best_choice
from sottovoce.training.losses import kl_divergence

_BATCHES_OF_COSTS = 4


@torch.no_grad()
def mixed_weights(
    recogniser: Recogniser,
    layers: Mapping[str, Layer],
    batches: Callable[[], Iterator[Waveforms]],
    precisions: Mapping[float, Precision],
    bits: float,
    console: Console,
) -> dict[str, tuple[Precision, Quantized]]:
    """Encoder matrix -> its precision, and what it becomes.

    Args:
        layers: all that may be quantized; only the encoder's matrices take part here.
        precisions: what a matrix may take, by width.
        bits: nominal, at most.
    """
    shapes = recogniser.family.shapes(recogniser.model)
    own = {name: layers[name] for name in shapes}
    moments = second_moments(recogniser, own, batches)
    candidates: dict[str, dict[float, Quantized]] = {}
    for name in track(own, "rounding", console=console):
        weight = own[name].weight.detach()
        with naming(f"layer {name!r}"):
            candidates[name] = {
                width: _rounded(weight, precision, moments.get(name))
                for width, precision in precisions.items()
            }
        moments.pop(name, None)  # it is large
    costs = _costs(recogniser, own, candidates, list(islice(batches(), _BATCHES_OF_COSTS)), console)
    sizes = [rows * columns for rows, columns in shapes.values()]
    widths = best_choice(-costs, sizes, tuple(precisions), bits).bits
    return {
        name: (precisions[width], candidates[name][width])
        for name, width in zip(own, widths, strict=True)
    }


def _rounded(weight: Tensor, precision: Precision, moments: Tensor | None) -> Quantized:
    plain = rounded(weight, precision)
    if moments is None:
        return plain
    values = compensated(weight.flatten(1), plain.affine, precision.quantizer, moments)
    return replace(plain, weight=values.view_as(weight))


def _costs(
    recogniser: Recogniser,
    layers: Mapping[str, Layer],
    candidates: Mapping[str, Mapping[float, Quantized]],
    batches: Sequence[Waveforms],
    console: Console,
) -> np.ndarray:
    """KL(full precision || one matrix rounded), nats a frame, [layers, candidates]."""
    costs = np.zeros((len(layers), len(next(iter(candidates.values())))))
    with recogniser.evaluating():
        for waveforms in track(batches, "what each width costs", console=console):
            features = recogniser.features(waveforms)
            replay = Replay(recogniser, features)
            for row, (name, layer) in enumerate(layers.items()):
                before = layer.weight.data
                for column, one in enumerate(candidates[name].values()):
                    layer.weight.data = one.weight
                    divergence = kl_divergence(
                        replay.logits, replay.again(name), features.frame_mask
                    )
                    costs[row, column] += divergence.item() / len(batches)
                layer.weight.data = before
    return costs
