import threading

import numpy as np
import pytest

from sottovoce.errors import InputError
from sottovoce.speech.audio import read_audio
from sottovoce.speech.loading import prefetched, read_ahead
from sottovoce.speech.utterance import AudioClip, Utterance


def decoding_threads():
    return [one for one in threading.enumerate() if one.name.startswith("decoding")]


@pytest.fixture
def batches(write_tone):
    utterances = [
        Utterance(f"u{n}", AudioClip(write_tone(f"{n}.wav", 0.1 * (n + 1))), 0.1 * (n + 1), "a")
        for n in range(8)
    ]
    return [utterances[n : n + 2] for n in range(0, 8, 2)]


def test_batches_come_decoded_and_in_order(batches):
    loaded = list(prefetched(batches, 8000))
    assert [[utterance for utterance, _ in batch] for batch in loaded] == batches
    for batch in loaded:
        for utterance, samples in batch:
            np.testing.assert_array_equal(samples, read_audio(utterance.audio, 8000))
    assert not decoding_threads()


def test_decoding_runs_in_another_thread_and_at_most_two_batches_ahead(write_tone):
    content = write_tone("tone.wav", 0.1).read_bytes()
    fetched = []

    def clip(number):
        def fetch():
            fetched.append((number, threading.current_thread().name))
            return content

        return AudioClip(fetch, name=f"row {number}")

    drawn = []

    def batches():
        for number in range(10):
            drawn.append(number)
            yield [Utterance(f"u{number}", clip(number), 0.1, "a")]

    stream = prefetched(batches(), 16000)
    next(stream)
    assert drawn == [0, 1, 2]
    next(stream)
    assert drawn == [0, 1, 2, 3]
    stream.close()
    assert all(name.startswith("decoding") for _, name in fetched)


def test_an_error_surfaces_where_its_batch_was_due(batches, tmp_path):
    batches[2][1].audio.source.write_bytes(b"no audio")
    stream = prefetched(batches, 16000)
    assert len(next(stream)) == 2
    assert len(next(stream)) == 2
    with pytest.raises(InputError, match=r"5\.wav"):
        next(stream)
    assert not decoding_threads()


def test_closing_stops_the_thread_and_what_was_to_come(batches):
    stream = prefetched(batches, 16000)
    next(stream)
    assert decoding_threads()
    stream.close()
    assert not decoding_threads()


def test_no_batches():
    assert list(prefetched([], 16000)) == []


def test_items_are_drawn_in_another_thread_and_at_most_two_ahead():
    drawn = []

    def items():
        for number in range(10):
            drawn.append(threading.current_thread().name)
            yield number

    stream = read_ahead(items())
    assert next(stream) == 0
    assert len(drawn) <= 3
    assert list(stream) == list(range(1, 10))
    assert all(name.startswith("decoding") for name in drawn)
    assert not decoding_threads()


def test_what_drawing_raises_is_raised_where_the_item_was_due():
    def items():
        yield 1
        raise InputError("broken")

    stream = read_ahead(items())
    assert next(stream) == 1
    with pytest.raises(InputError, match="broken"):
        next(stream)
    assert not decoding_threads()


def test_closing_stops_the_drawing_of_items():
    stream = read_ahead(iter(range(10)))
    next(stream)
    assert decoding_threads()
    stream.close()
    assert not decoding_threads()
