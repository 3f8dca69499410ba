"""What one update trains on: speech that was checked before training began."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import islice

import numpy as np

from sottovoce.config.recipe import Training
from sottovoce.errors import InputError, prefix_errors
from sottovoce.models.recogniser import Recogniser
from sottovoce.speech.augmentation import augment
from sottovoce.speech.batching import bucketed_batches
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.loading import prefetched
from sottovoce.speech.utterance import Utterance
from sottovoce.training.distributed import is_main_process, process_state, split_between_processes


@dataclass(frozen=True)
class Batch:
    """Utterances of one update.

    Attributes:
        ids: the utterances.
        waveforms: float32 samples of each.
        targets: label ids of each.
        frames: of the encoder, padding excluded.
        seconds: of audio, padding excluded.
    """

    ids: tuple[str, ...]
    waveforms: tuple[np.ndarray, ...]
    targets: tuple[tuple[int, ...], ...]
    frames: int
    seconds: float


class TrainingSpeech:
    """A corpus made ready to train on: every transcript encoded and held against its length.

    Raises:
        InputError: an utterance has characters outside the vocabulary, is too short for one
            frame, or has a transcript longer than its frames allow; or all transcripts are empty.

    Args:
        transcribed: whether the transcripts are used; if not, no utterance has labels.
    """

    def __init__(self, corpus: Corpus, recogniser: Recogniser, *, transcribed: bool = True) -> None:
        self.corpus, self.transcribed = corpus, transcribed
        self.sampling_rate = recogniser.sampling_rate
        self._frames_of, self._head = recogniser.frames_of, recogniser.head
        self.targets: dict[str, tuple[int, ...]] = {}
        for utterance in corpus.utterances:
            with prefix_errors(corpus.name):
                self.targets[utterance.id] = (
                    self._head.targets(utterance.text, utterance.id) if transcribed else ()
                )
            self._frames(utterance, round(utterance.duration * self.sampling_rate))
        if transcribed and not any(self.targets.values()):
            raise InputError(
                f"{corpus.name}: every transcript is empty, and training on them would teach the "
                "model to be silent; give speech with transcripts"
            )

    def _frames(self, utterance: Utterance, samples: int) -> int:
        """Of so many samples of an utterance. Raises InputError where they are too few to train."""
        frames, seconds = self._frames_of(samples), samples / self.sampling_rate
        misfit = self._head.misfit(self.targets[utterance.id], frames, seconds)
        if misfit is not None:
            raise InputError(f"{self.corpus.name}: utterance {utterance.id} {misfit}")
        return frames

    @property
    def durations(self) -> list[float]:
        return [utterance.duration for utterance in self.corpus.utterances]

    @property
    def awaits_targets(self) -> bool:
        """Whether what is trained towards is what a teacher writes, and comes by `taught`."""
        return self._head.teaches_itself and not self.transcribed

    def taught(self, targets: Mapping[str, tuple[int, ...]]) -> "TrainingSpeech":
        """The same with some utterances' targets, such as those that a teacher wrote."""
        speech = copy(self)
        speech.targets = {**self.targets, **targets}
        return speech

    def updates_an_epoch(self, seconds: float, seed: int) -> int:
        """Batches in one pass over the corpus."""
        return len(bucketed_batches(self.durations, seconds, seed, 0))

    def batches(
        self, recipe: Training, first_update: int, *, whole: bool = False
    ) -> Iterator[Batch]:
        """Endless batches; the k-th is the same however often training was interrupted.

        Of several processes that train together, each has its share of every batch.

        Args:
            first_update: index of the first batch to yield.
            whole: batches that are not shared out, the same in every process.
        """
        chosen = self._chosen(recipe.seconds_per_batch, recipe.seed, first_update)
        if not whole:
            chosen = map(split_between_processes, chosen)
        decoded = prefetched(chosen, self.sampling_rate)
        own_draws = () if whole or is_main_process() else (process_state().process_index,)
        for update, batch in enumerate(decoded, first_update):
            waveforms = [waveform for _, waveform in batch]
            frames = sum(self._frames(utterance, len(waveform)) for utterance, waveform in batch)
            if recipe.augment:
                generator = np.random.default_rng((recipe.seed, update, *own_draws))
                waveforms = [augment(one, self.sampling_rate, generator) for one in waveforms]
            yield Batch(
                ids=tuple(utterance.id for utterance, _ in batch),
                waveforms=tuple(waveforms),
                targets=tuple(self.targets[utterance.id] for utterance, _ in batch),
                frames=frames,
                seconds=sum(map(len, waveforms)) / self.sampling_rate,
            )

    def heard(self, recipe: Training, updates: int) -> list[Utterance]:
        """The utterances of the first so many updates, in the corpus's order."""
        an_epoch = self.updates_an_epoch(recipe.seconds_per_batch, recipe.seed)
        chosen = self._chosen(recipe.seconds_per_batch, recipe.seed, 0)
        ids = {one.id for batch in islice(chosen, min(updates, an_epoch)) for one in batch}
        return [one for one in self.corpus.utterances if one.id in ids]

    def _chosen(
        self, seconds: float, seed: int, first_update: int
    ) -> Iterator[Sequence[Utterance]]:
        epoch, passed = 0, 0
        while True:
            batches = bucketed_batches(self.durations, seconds, seed, epoch)
            for batch in batches[max(0, first_update - passed) :]:
                yield [self.corpus.utterances[index] for index in batch]
            passed, epoch = passed + len(batches), epoch + 1
