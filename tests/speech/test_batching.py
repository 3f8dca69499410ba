import random

import pytest

from sottovoce.speech.batching import bucketed_batches, evaluation_batches


@pytest.fixture
def durations():
    source = random.Random(1)
    return [source.uniform(1, 16) for _ in range(900)]


def padded(batch, durations):
    return len(batch) * max(durations[index] for index in batch)


def padding(batches, durations):
    return sum(padded(batch, durations) for batch in batches) / sum(durations) - 1


def test_every_index_once_and_no_batch_over_the_limit(durations):
    for batches in (bucketed_batches(durations, 101, 0, 0), evaluation_batches(durations, 101)):
        assert sorted(index for batch in batches for index in batch) == list(range(900))
        assert all(padded(batch, durations) <= 101 for batch in batches)


def test_seed_and_epoch_decide_the_batches(durations):
    first = bucketed_batches(durations, 101, 3, 5)
    assert first == bucketed_batches(durations, 101, 3, 5)
    assert first != bucketed_batches(durations, 101, 3, 6)
    assert first != bucketed_batches(durations, 101, 4, 5)


def test_lengths_are_alike_in_a_batch_and_neighbours_change(durations):
    first = bucketed_batches(durations, 101, 0, 0)
    assert padding(first, durations) < 0.12
    unsorted = [list(range(start, start + 9)) for start in range(0, 900, 9)]
    assert padding(unsorted, durations) > 0.4
    second = bucketed_batches(durations, 101, 0, 1)
    kept = {frozenset(batch) for batch in first} & {frozenset(batch) for batch in second}
    assert len(kept) < len(first) / 10


def test_batches_do_not_come_in_order_of_length(durations):
    one_bucket = durations[:100]
    batches = bucketed_batches(one_bucket, 101, 0, 0)
    longest = [max(one_bucket[index] for index in batch) for batch in batches]
    assert longest not in (sorted(longest), sorted(longest, reverse=True))


def test_an_utterance_over_the_limit_is_a_batch_of_its_own():
    durations = [30.0, 2.0, 2.0, 2.0, 40.0]
    batches = bucketed_batches(durations, 10, 0, 0)
    assert [0] in batches
    assert [4] in batches
    assert sorted(map(len, batches)) == [1, 1, 3]


def test_evaluation_begins_with_the_longest_and_pads_least(durations):
    batches = evaluation_batches(durations, 101)
    longest = [durations[batch[0]] for batch in batches]
    assert longest == sorted(durations[batch[0]] for batch in batches)[::-1]
    assert longest[0] == max(durations)
    assert padding(batches, durations) < 0.06


def test_nothing_makes_no_batches():
    assert bucketed_batches([], 101, 0, 0) == evaluation_batches([], 101) == []
