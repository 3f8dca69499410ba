"""Trials: something in a recogniser is quantized for a while, and how far its outputs then diverge.

Every batch runs in full precision once; each trial then computes from its first layer on. This is
the one loop that measures divergence: for two-stage plans, post-training plans and rankings alike.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from sottovoce.models.features import Targets
from sottovoce.models.recogniser import Recogniser
from sottovoce.sensitivity.replay import Replay
from sottovoce.training.losses import kl_divergence

T = TypeVar("T")


@dataclass(frozen=True)
class Trial:
    """Something quantized.

    Attributes:
        first: the first layer or module, in the order of computation, that computes otherwise.
        applied: makes the context manager within which the recogniser computes so.
    """

    first: str
    applied: Callable[[], AbstractContextManager[None]]


class TriedBatch:
    """A batch of waveforms, run in full precision where that is needed, and under any trial."""

    def __init__(
        self,
        recogniser: Recogniser,
        waveforms: Sequence[np.ndarray],
        targets: Targets | None = None,
    ) -> None:
        """
        Args:
            targets: label ids of each utterance; None where there are none, as
                `Recogniser.features` takes them.
        """
        self.recogniser, self.waveforms = recogniser, waveforms
        self.features = recogniser.features(waveforms, targets)
        self.seconds = sum(map(len, waveforms)) / recogniser.sampling_rate

    @property
    def positions(self) -> int:
        """How many positions the outputs have, padding excluded."""
        return int(self.features.positions.sum())

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

    def divergence_of(self, trial: Trial) -> float:
        """KL(full precision || under the trial), nats a position."""
        logits = self.logits_of(trial)
        counted = self.features.position_mask(logits)
        return kl_divergence(self.logits_of(None), logits, counted).item()

    def _changes_features(self, trial: Trial) -> bool:
        family = self.recogniser.family
        front_end = tuple(f"{family.backbone}.{path}." for path in family.front_end.modules)
        return f"{trial.first}.".startswith(front_end)


@torch.no_grad()
def divergences(
    recogniser: Recogniser,
    trials: Mapping[T, Trial],
    batches: Iterable[TriedBatch],
    weight: Callable[[TriedBatch], float],
    after_each: Callable[[TriedBatch], None] = lambda _: None,
) -> dict[T, float]:
    """Measure KL(full precision || under the trial), the mean over batches, nats a position.

    Args:
        recogniser: in eval mode meanwhile, unchanged at the end.
        weight: of a batch in the mean.
        after_each: called after each trial on each batch, such as to show progress.
    """
    sums, weights = dict.fromkeys(trials, 0.0), 0.0
    with recogniser.evaluating():
        for batch in batches:
            for name, trial in trials.items():
                sums[name] += weight(batch) * batch.divergence_of(trial)
                after_each(batch)
            weights += weight(batch)
    return {name: total / weights for name, total in sums.items()}


def most_divergent(divergence: Mapping[T, float]) -> list[T]:
    """From the greatest divergence down; what is not finite comes first."""
    return sorted(divergence, key=lambda name: -np.nan_to_num(divergence[name], nan=np.inf))
