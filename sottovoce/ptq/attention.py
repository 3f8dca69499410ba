"""8-bit operands for attention's products, where that changes no words to speak of."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from torch import Tensor, nn

from sottovoce.artifact.attention import (
    OPERANDS,
    QuantizedAttention,
    quantizable_attentions,
    quantize_attention,
    quantized_attentions,
    set_attention_quantizer,
)
from sottovoce.models.recogniser import Recogniser
from sottovoce.ptq.calibration import CalibrationSpeech, transcripts
from sottovoce.ptq.effort import RANKING_PASSES, Job, replaying
from sottovoce.ptq.observing import PASSES_OF_RANGES, Waveforms, input_histograms
from sottovoce.ptq.ranking import budgeted_divergences
from sottovoce.ptq.sweep import Change, changed_word_rate, recognitions, select_harmless
from sottovoce.sensitivity.trials import Trial

_ATTENTION = "attention in 8 bits"


def round_attention(
    recogniser: Recogniser,
    speech: CalibrationSpeech,
    job: Job,
) -> None:
    """Give attentions 8-bit operands, in place: those that together do no harm.

    Ranges reach the greatest number that was seen. A family without attentions that can have them
    is left as it is.

    Args:
        recogniser: as it runs but for this, its layers quantized.
        speech: its transcripts are not read.
    """
    model, names = recogniser.model, quantizable_attentions(recogniser.model)
    if not names:
        return

    with job.phase(_ATTENTION):
        full = transcripts(recogniser, speech, job)
        quantize_attention(model, names)
        find_ranges(recogniser, speech.counting(job))
        every = quantized_attentions(model)

        def change(trial: Sequence[str]) -> Change:
            with _only(model, every, trial):
                return changed_word_rate(full, transcripts(recogniser, speech, job))

        def rank() -> Mapping[str, float]:
            trials = {name: Trial(name, partial(_only, model, every, [name])) for name in names}
            with _only(model, every, []):
                return budgeted_divergences(recogniser, trials, speech, RANKING_PASSES, job)

        kept = select_harmless(names, change, rank)
    for name in names:
        if name not in kept:
            set_attention_quantizer(model.get_submodule(name), None)


def phases(recogniser: Recogniser, seconds: float) -> dict[str, float]:
    """Return the most that each phase may compute, in seconds of speech.

    Args:
        seconds: of calibration speech.
    """
    names = quantizable_attentions(recogniser.model)
    passes = 1 + PASSES_OF_RANGES + recognitions(len(names))
    return {_ATTENTION: passes * seconds + replaying(RANKING_PASSES * seconds)} if names else {}


def find_ranges(recogniser: Recogniser, batches: Callable[[], Iterator[Waveforms]]) -> None:
    """Let the codes of all rounded operands reach what is seen of them, in place.

    Raises:
        InputError: the speech leaves an attention's operands constant (silence), or not finite.
    """
    attentions = quantized_attentions(recogniser.model)
    watched = {name: _Watched() for name in attentions}
    for name, watch in watched.items():
        set_attention_quantizer(recogniser.model.get_submodule(name), watch)
    places = {
        f"{name}.{operand}": place
        for name, watch in watched.items()
        for operand, place in zip(OPERANDS, watch.places, strict=True)
    }
    try:
        seen = input_histograms(recogniser, places, batches)
    finally:
        for name, operands in attentions.items():
            set_attention_quantizer(recogniser.model.get_submodule(name), operands)
    for name, operands in attentions.items():
        spans = [seen[f"{name}.{operand}"].range for operand in OPERANDS]
        operands.reach(max(-span.low, span.high) for span in spans)


class _Watched(nn.Module):
    """Rounds nothing; each operand passes a place where it can be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.ModuleList(nn.Identity() for _ in OPERANDS)

    def rounded(self, operand: int, values: Tensor) -> Tensor:
        passed: Tensor = self.places[operand](values)
        return passed

    def quantize_probabilities(self, values: Tensor) -> Tensor:
        return values


@contextmanager
def _only(
    model: nn.Module, every: dict[str, QuantizedAttention], names: Sequence[str]
) -> Iterator[None]:
    """Context manager: only the attentions of these names are rounded."""
    before = quantized_attentions(model)
    for name, operands in every.items():
        set_attention_quantizer(model.get_submodule(name), operands if name in names else None)
    try:
        yield
    finally:
        for name in every:
            set_attention_quantizer(model.get_submodule(name), before.get(name))
