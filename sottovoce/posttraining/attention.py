"""8-bit operands for attention's products, where that changes no words to speak of."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from rich.console import Console
from torch import Tensor, nn

from sottovoce.artifact.attention import (
    OPERANDS,
    RoundedOperands,
    round_operands,
    rounded_attentions,
    set_operands,
)
from sottovoce.models.recogniser import Recogniser
from sottovoce.posttraining.observing import Waveforms
from sottovoce.posttraining.sweep import harmless, words_changed
from sottovoce.runtime.recognition import recognise
from sottovoce.scoring import Transcripts
from sottovoce.speech.corpus import Corpus


def round_attention(
    recogniser: Recogniser,
    batches: Callable[[], Iterator[Waveforms]],
    corpus: Corpus,
    console: Console,
) -> None:
    """Give attentions 8-bit operands, in place: those that together do no harm.

    Ranges reach the greatest number that was seen. A family without attentions that can have them
    is left as it is.

    Args:
        recogniser: as it runs but for this, its layers quantized.
        batches: the waveforms of `corpus` from its beginning, at each call.
        corpus: calibration speech; its transcripts are not read.
    """
    model, names = recogniser.model, recogniser.family.attentions(recogniser.model)
    if not names:
        return

    def heard(told: Console | None = None) -> Transcripts:
        return recognise(recogniser, corpus, name="attention", console=told).transcripts

    full = heard(console)
    round_operands(model, names)
    find_ranges(recogniser, batches())
    every = rounded_attentions(model)

    def change(trial: Sequence[str]) -> float:
        with _only(model, every, trial):
            return words_changed(full, heard())

    kept = harmless(names, change, "attention, one at a time", console)
    for name in names:
        if name not in kept:
            set_operands(model.get_submodule(name), None)


def find_ranges(recogniser: Recogniser, batches: Iterator[Waveforms]) -> None:
    """Let the codes of all rounded operands reach what is seen of them, in place."""
    attentions = rounded_attentions(recogniser.model)
    watching = {name: _Watching() for name in attentions}
    for name, one in watching.items():
        set_operands(recogniser.model.get_submodule(name), one)
    with recogniser.evaluating(), torch.inference_mode():
        for waveforms in batches:
            for waveform in waveforms:
                recogniser.logits(recogniser.features([waveform]))
    for name, operands in attentions.items():
        operands.reach(watching[name].greatest)
        set_operands(recogniser.model.get_submodule(name), operands)


class _Watching(nn.Module):
    """Rounds nothing, and remembers the greatest absolute value of each operand."""

    def __init__(self) -> None:
        super().__init__()
        self.greatest = [0.0] * len(OPERANDS)

    def rounded(self, operand: int, values: Tensor) -> Tensor:
        self.greatest[operand] = max(self.greatest[operand], float(values.abs().max()))
        return values

    def rounded_probabilities(self, values: Tensor) -> Tensor:
        return values


@contextmanager
def _only(
    model: nn.Module, every: dict[str, RoundedOperands], names: Sequence[str]
) -> Iterator[None]:
    """Inside, only the attentions of these names are rounded."""
    others = [name for name in every if name not in names]
    for name in others:
        set_operands(model.get_submodule(name), None)
    try:
        yield
    finally:
        for name in others:
            set_operands(model.get_submodule(name), every[name])
