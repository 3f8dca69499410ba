"""Trials of a sweep: something in a recogniser is quantized for a while, and what that changes.

Every batch runs in full precision once; each trial then computes from its first layer on.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from sottovoce.models.recogniser import Recogniser
from sottovoce.ptq.calibration import CalibrationSpeech
from sottovoce.ptq.effort import REPLAYED, Job, seconds_each
from sottovoce.ptq.layers import Layer, Quantized, quantized_layers
from sottovoce.sensitivity.replay import Replay
from sottovoce.training.losses import kl_divergence

T = TypeVar("T")


@dataclass(frozen=True)
class Trial:
    """Something quantized.

    Attributes:
        first: the first layer or module, in the order of computation, that computes otherwise.
        applied: inside what this gives, the recogniser computes so.
    """

    first: str
    applied: Callable[[], AbstractContextManager[None]]


def quantizing(layers: Mapping[str, Layer], by: Mapping[str, Quantized]) -> Trial:
    """Layers quantized together.

    Args:
        layers: in the order of computation.
        by: what some of them become.
    """
    first = next(name for name in layers if name in by)
    return Trial(first, partial(quantized_layers, layers, by))


class TriedBatch:
    """A batch of waveforms, run in full precision where that is needed, and under any trial."""

    def __init__(self, recogniser: Recogniser, waveforms: Sequence[np.ndarray]) -> None:
        self.recogniser, self.waveforms = recogniser, waveforms
        self.features = recogniser.features(waveforms)
        self.seconds = sum(map(len, waveforms)) / recogniser.sampling_rate

    @cached_property
    def _replay(self) -> Replay:
        return Replay(self.recogniser, self.features)

    def logits_of(self, trial: Trial | None) -> Tensor:
        """[utterances, positions, labels]; None is full precision."""
        if trial is None:
            return self._replay.logits
        replay = self._replay  # before anything is quantized
        with trial.applied():
            if self._changes_features(trial):
                features = self.recogniser.features(self.waveforms, self.features.targets)
                return self.recogniser.logits(features)
            return replay.again(trial.first)

    def texts_of(self, trial: Trial | None) -> list[str | None]:
        """Transcripts; None is full precision, and a transcript None where outputs are not
        finite."""
        if trial is None:
            return self.recogniser.head.texts(self.recogniser, self.features)
        replay = self._replay  # before anything is quantized
        with trial.applied():
            if self._changes_features(trial):
                return self.recogniser.recognise(self.waveforms)
            return replay.texts(trial.first)

    def _changes_features(self, trial: Trial) -> bool:
        family = self.recogniser.family
        front_end = tuple(f"{family.backbone}.{path}." for path in family.front_end.modules)
        return f"{trial.first}.".startswith(front_end)


@torch.inference_mode()
def divergences(
    recogniser: Recogniser,
    trials: Mapping[T, Trial],
    batches: CalibrationSpeech,
    passes: float,
    job: Job,
) -> dict[T, float]:
    """KL(without it || under the trial), nats a frame; no labels are needed, nor words.

    Args:
        passes: of the speech, that all trials together may run; each has its part.
    """
    few = batches.sample(seconds_each(passes * batches.seconds, len(trials)))
    found, frames = dict.fromkeys(trials, 0.0), 0
    with recogniser.evaluating():
        for waveforms in few():
            batch = TriedBatch(recogniser, waveforms)
            own = int(batch.features.positions.sum())
            for name, trial in trials.items():
                logits = batch.logits_of(trial)
                counted = batch.features.position_mask(logits)
                divergence = kl_divergence(batch.logits_of(None), logits, counted)
                found[name] += own * divergence.item()
                job.advance(batch.seconds * REPLAYED)
            frames += own
    return {name: total / frames for name, total in found.items()}


def most_divergent(found: Mapping[T, float]) -> list[T]:
    """From the greatest divergence down; what is not finite comes first."""
    return sorted(found, key=lambda one: -np.nan_to_num(found[one], nan=np.inf))
