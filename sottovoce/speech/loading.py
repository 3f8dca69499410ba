"""Decoding ahead, so that it overlaps with computing."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from sottovoce.speech.audio import Samples, read_utterance
from sottovoce.speech.utterance import Utterance

Decoded = list[tuple[Utterance, Samples]]
"""A batch's utterances, each with its samples [samples]."""

_AHEAD = 2


def prefetched(batches: Iterable[Sequence[Utterance]], sampling_rate: int) -> Iterator[Decoded]:
    """The batches in their order, decoded up to two ahead in one background thread.

    Closing the iterator stops the thread once the batch it is at is decoded.

    Raises:
        InputError: audio of a batch cannot be read; raised where that batch was due.
    """
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decoding")
    upcoming: deque[Future[Decoded]] = deque()
    try:
        for batch in batches:
            upcoming.append(pool.submit(_decoded, batch, sampling_rate))
            if len(upcoming) > _AHEAD:
                yield upcoming.popleft().result()
        while upcoming:
            yield upcoming.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _decoded(batch: Sequence[Utterance], sampling_rate: int) -> Decoded:
    return [(utterance, read_utterance(utterance, sampling_rate)) for utterance in batch]
