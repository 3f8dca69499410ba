"""Decoding ahead, so that it overlaps with computing."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import repeat
from typing import TypeVar

from sottovoce.speech.audio import Samples, read_utterance
from sottovoce.speech.utterance import Utterance

Decoded = list[tuple[Utterance, Samples]]
"""A batch's utterances, each with its samples [samples]."""

Item = TypeVar("Item")

_AHEAD = 2


def prefetched(batches: Iterable[Sequence[Utterance]], sampling_rate: int) -> Iterator[Decoded]:
    """The batches in their order, decoded up to two ahead in one background thread.

    Closing the iterator stops the thread once the batch it is at is decoded.

    Raises:
        InputError: audio of a batch cannot be read; raised where that batch was due.
    """
    return _in_background(partial(_decoded, batch, sampling_rate) for batch in batches)


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items in their order, drawn up to two ahead in one background thread.

    Closing the iterator stops the thread once it has the item it is at. What drawing an item
    raises is raised where that item was due.
    """
    with closing(_in_background(repeat(partial(next, items, None)))) as drawn:
        for item in drawn:
            if item is None:
                return
            yield item


def _in_background(tasks: Iterable[Callable[[], Item]]) -> Generator[Item]:
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decoding")
    upcoming: deque[Future[Item]] = deque()
    try:
        for task in tasks:
            upcoming.append(pool.submit(task))
            if len(upcoming) > _AHEAD:
                yield upcoming.popleft().result()
        while upcoming:
            yield upcoming.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _decoded(batch: Sequence[Utterance], sampling_rate: int) -> Decoded:
    return [(utterance, read_utterance(utterance, sampling_rate)) for utterance in batch]
