"""Which utterances share a batch.

A batch is limited by its padded audio, count x longest, because that is what memory and time go
by. xu2025 trains on about 101 s of audio a batch (arXiv 2501.03643).
"""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from random import Random

from sottovoce.speech.utterance import Utterance

EVALUATION_SECONDS = 60.0
"""Padded audio in a batch where nothing is trained; it changes the speed, not the text."""

_BATCHES_PER_BUCKET = 16


def bucketed_batches(
    durations: Sequence[float], seconds: float, seed: int, epoch: int
) -> list[list[int]]:
    """An epoch of training batches: similar lengths together, anew in every epoch.

    The utterances are shuffled and dealt into buckets of about 16 batches; sorting inside a bucket
    keeps padding low while its neighbours still differ from epoch to epoch. The same seed and
    epoch give the same batches, so a resumed run goes on where it stopped.

    Args:
        durations: seconds of each utterance.
        seconds: the most padded audio in a batch; a longer utterance is a batch of its own.

    Returns:
        Batches of indices into `durations`, every index once.
    """
    if not durations:
        return []
    random = Random(f"{seed}/{epoch}")  # noqa: S311
    order = list(range(len(durations)))
    random.shuffle(order)
    per_bucket = ceil(_BATCHES_PER_BUCKET * seconds * len(durations) / sum(durations))
    batches = [
        batch
        for first in range(0, len(order), per_bucket)
        for batch in _filled(
            sorted(order[first : first + per_bucket], key=durations.__getitem__), durations, seconds
        )
    ]
    random.shuffle(batches)
    return batches


def evaluation_batches(durations: Sequence[float], seconds: float) -> list[list[int]]:
    """All utterances with the least padding, longest first: memory runs out at once or never."""
    order = sorted(range(len(durations)), key=durations.__getitem__, reverse=True)
    return list(_filled(order, durations, seconds))


def evaluation_order(utterances: Sequence[Utterance], seconds: float) -> list[list[Utterance]]:
    """Utterances in `evaluation_batches`."""
    batches = evaluation_batches([one.duration for one in utterances], seconds)
    return [[utterances[index] for index in batch] for batch in batches]


def _filled(
    order: Iterable[int], durations: Sequence[float], seconds: float
) -> Iterator[list[int]]:
    batch: list[int] = []
    longest = 0.0
    for index in order:
        longest = max(longest, durations[index])
        if batch and (len(batch) + 1) * longest > seconds:
            yield batch
            batch, longest = [], durations[index]
        batch.append(index)
    if batch:
        yield batch
