"""What goes into a recogniser's layers, over some speech."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from sottovoce.models.recogniser import Recogniser

Waveforms = Sequence[np.ndarray]


@torch.no_grad()
def second_moments(
    recogniser: Recogniser,
    matrices: Mapping[str, nn.Module],
    batches: Iterable[Waveforms],
    channels_first: Collection[str] = (),
) -> dict[str, Tensor]:
    """Matrix -> sum x x^T over its inputs, [inputs, inputs], float32; one that is never called is
    not there.

    Args:
        matrices: what multiplies, such as linear layers.
        channels_first: those whose inputs are [utterances, inputs, frames]; the others' last
            dimension is that of their inputs.
    """
    moments: dict[str, Tensor] = {}

    def add(name: str, inputs: Tensor) -> None:
        channels_last = inputs.movedim(1, -1) if name in channels_first else inputs
        rows = channels_last.detach().flatten(0, -2).float()
        own = rows.T @ rows
        moments[name] = moments[name] + own if name in moments else own

    run_watched(recogniser, matrices, batches, add)
    return moments


def run_watched(
    recogniser: Recogniser,
    layers: Mapping[str, nn.Module],
    batches: Iterable[Waveforms],
    see: Callable[[str, Tensor], None],
) -> None:
    """Show `see` what goes into each layer, utterance by utterance."""
    with recogniser.evaluating():
        for waveforms in batches:
            for waveform in waveforms:  # one by one, there is no padding to be seen
                with _watched(layers, see):
                    recogniser.logits(recogniser.features([waveform]))


@contextmanager
def _watched(layers: Mapping[str, nn.Module], see: Callable[[str, Tensor], None]) -> Iterator[None]:
    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, inputs: see(name, inputs[0])

    with ExitStack() as stack:
        for name, layer in layers.items():
            stack.callback(layer.register_forward_pre_hook(hook(name)).remove)
        yield
