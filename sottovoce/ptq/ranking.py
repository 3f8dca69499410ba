"""Layers ranked by how far the outputs diverge with each quantized alone, within a budget."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from sottovoce.models.recogniser import Recogniser
from sottovoce.ptq.calibration import CalibrationSpeech
from sottovoce.ptq.effort import RANKING_PASSES, REPLAYED, Job, seconds_each
from sottovoce.ptq.layers import Layer, Quantized, quantizing
from sottovoce.sensitivity.trials import Trial, TriedBatch, divergences, most_divergent

RANKING = "ranking layers"

T = TypeVar("T")


def budgeted_divergences(
    recogniser: Recogniser,
    trials: Mapping[T, Trial],
    speech: CalibrationSpeech,
    passes: float,
    job: Job,
) -> dict[T, float]:
    """Measure how far each trial diverges, nats a position; neither labels nor words are read.

    Every position of the speech counts the same.

    Args:
        passes: over the speech, that all trials together may run; each has its part.
    """
    sampled = speech.sample(seconds_each(passes * speech.seconds, len(trials)))

    def batches() -> Iterator[TriedBatch]:
        for waveforms in sampled():
            yield TriedBatch(recogniser, waveforms)

    return divergences(
        recogniser,
        trials,
        batches(),
        weight=lambda batch: batch.positions,
        after_each=lambda batch: job.advance(batch.seconds * REPLAYED),
    )


def rank_layers(
    recogniser: Recogniser,
    layers: Mapping[str, Layer],
    by: Mapping[str, Quantized],
    speech: CalibrationSpeech,
    job: Job,
) -> list[str]:
    """The layers of `by`, from the one that alone diverges most down."""
    with job.phase(RANKING):
        trials = {name: quantizing(layers, {name: result}) for name, result in by.items()}
        return most_divergent(budgeted_divergences(recogniser, trials, speech, RANKING_PASSES, job))
