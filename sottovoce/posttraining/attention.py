"""8-bit operands for attention's products, where that changes no words to speak of."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from torch import Tensor, nn

from sottovoce.artifact.attention import (
    OPERANDS,
    RoundedOperands,
    plain_attentions,
    round_operands,
    rounded_attentions,
    set_operands,
)
from sottovoce.models.recogniser import Recogniser
from sottovoce.posttraining.observing import Waveforms, input_histograms
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
    model, names = recogniser.model, plain_attentions(recogniser.model)
    if not names:
        return

    def heard(told: Console | None = None) -> Transcripts:
        return recognise(recogniser, corpus, name="attention", console=told).transcripts

    full = heard(console)
    round_operands(model, names)
    find_ranges(recogniser, batches)
    every = rounded_attentions(model)

    def change(trial: Sequence[str]) -> float:
        with _only(model, every, trial):
            return words_changed(full, heard())

    kept = harmless(names, change, "attention, one at a time", console)
    for name in names:
        if name not in kept:
            set_operands(model.get_submodule(name), None)


def find_ranges(recogniser: Recogniser, batches: Callable[[], Iterator[Waveforms]]) -> None:
    """Let the codes of all rounded operands reach what is seen of them, in place.

    Raises:
        InputError: the speech leaves an attention's operands constant (silence), or not finite.
    """
    attentions = rounded_attentions(recogniser.model)
    watched = {name: _Watched() for name in attentions}
    for name, one in watched.items():
        set_operands(recogniser.model.get_submodule(name), one)
    places = {
        f"{name}.{operand}": place
        for name, one in watched.items()
        for operand, place in zip(OPERANDS, one.places, strict=True)
    }
    try:
        seen = input_histograms(recogniser, places, batches)
    finally:
        for name, operands in attentions.items():
            set_operands(recogniser.model.get_submodule(name), operands)
    for name, operands in attentions.items():
        spans = [seen[f"{name}.{operand}"].range for operand in OPERANDS]
        operands.reach(max(-span.low, span.high) for span in spans)


class _Watched(nn.Module):
    """Rounds nothing; each operand passes a place where it can be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.ModuleList(nn.Identity() for _ in OPERANDS)

    def rounded(self, operand: int, values: Tensor) -> Tensor:
        found: Tensor = self.places[operand](values)
        return found

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
