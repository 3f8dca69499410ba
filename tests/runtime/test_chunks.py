from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from fakes import FIELD, RADIUS, STEP, Convolutions
from tiny import SAMPLES_A_FRAME

from sottovoce.errors import InputError
from sottovoce.models.recogniser import Recogniser
from sottovoce.runtime.chunking import Chunking
from sottovoce.runtime.chunks import Chunk, Cutter, samples_per_frame

SAMPLES = np.random.default_rng(1).standard_normal(5003).astype(np.float32)
ENOUGH = RADIUS * STEP / Convolutions.sampling_rate
PADDED = 12  # as a log-mel front end with centred windows


def blocks(samples: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (samples[start : start + size] for start in range(0, len(samples), size))


def chunks_of(engine: Convolutions, samples: np.ndarray, *chunking: float) -> list[Chunk]:
    return list(Cutter.of(engine, Chunking(*chunking)).cut(blocks(samples, 170)))


def put_together(engine: Convolutions, chunks: list[Chunk]) -> np.ndarray:
    return np.concatenate([engine.frame_logits([one.samples])[0][one.kept] for one in chunks])


@pytest.mark.parametrize("length", [600, 601, 626, 640, 1203, 2999, 5003])
@pytest.mark.parametrize("block", [7, 170, 5003])
def test_with_the_context_that_the_model_has_chunks_give_what_the_whole_gives(
    length: int, block: int
) -> None:
    engine, samples = Convolutions(), SAMPLES[:length]
    chunks = list(Cutter.of(engine, Chunking(0.6, ENOUGH)).cut(blocks(samples, block)))
    assert len(chunks) > 1 or engine.frames_of(length) <= engine.frames_of(600)
    whole = engine.frame_logits([samples])[0]
    np.testing.assert_allclose(put_together(engine, chunks), whole, rtol=0, atol=1e-5)


def test_a_front_end_that_pads_is_cut_at_its_frames_too() -> None:
    engine, samples = Convolutions(PADDED), SAMPLES[:2345]
    # The padding of a chunk's ends is heard two frames further in.
    chunks = chunks_of(engine, samples, 0.6, ENOUGH + 0.02)
    assert len(chunks) > 3
    whole = engine.frame_logits([samples])[0]
    np.testing.assert_allclose(put_together(engine, chunks), whole, rtol=0, atol=1e-5)


def test_with_less_context_only_frames_near_the_cuts_differ() -> None:
    engine = Convolutions()
    chunks = chunks_of(engine, SAMPLES, 0.6, 0.0)
    whole = engine.frame_logits([SAMPLES])[0]
    found = put_together(engine, chunks)
    assert found.shape == whole.shape
    differ = np.flatnonzero(np.abs(found - whole).max(1) > 1e-5)
    kept = [engine.frames_of(len(one.samples)) for one in chunks[:-1]]
    cuts = np.cumsum(kept)
    distance = np.abs(differ[:, None] - cuts + 0.5).min(1)
    assert 0 < distance.max() <= RADIUS


def test_chunks_are_equally_long_and_the_frames_between_the_context_follow_each_other() -> None:
    chunks = chunks_of(Convolutions(), np.arange(5003, dtype=np.float32), 0.6, 0.1)
    assert [one.last for one in chunks] == [False] * (len(chunks) - 1) + [True]
    assert {len(one.samples) for one in chunks[:-1]} == {600}
    assert 600 <= len(chunks[-1].samples) < 600 + STEP
    assert chunks[-1].samples[-1] == 5002
    frames = []
    for one in chunks:
        starts = one.samples[: -FIELD + 1 : STEP]
        assert all(start % STEP == 0 for start in starts)
        assert one is chunks[0] or one.kept.start >= 10
        frames += starts[one.kept].tolist()
    assert all(second - first == STEP for first, second in pairwise(frames))
    assert (frames[0], len(frames)) == (0, Convolutions().frames_of(5003))


@pytest.mark.parametrize("length", [1, 24, 599, 600, 604])
def test_what_is_no_longer_than_a_chunk_stays_whole(length: int) -> None:
    (only,) = chunks_of(Convolutions(), SAMPLES[:length], 0.6, 0.1)
    np.testing.assert_array_equal(only.samples, SAMPLES[:length])
    assert (only.kept, only.last) == (slice(0, None), True)


def test_a_recording_is_drawn_no_further_than_a_chunk_needs() -> None:
    drawn = []

    def endless() -> Iterator[np.ndarray]:
        while True:
            drawn.append(100)
            yield np.zeros(100, np.float32)

    cut = Cutter.of(Convolutions(), Chunking(0.6, 0.1)).cut(endless())
    assert len(next(cut).samples) == 600
    assert sum(drawn) == 700
    for _ in range(50):
        chunk = next(cut)
    assert sum(drawn) <= 700 + 51 * 400
    assert chunk.samples.base is not None
    assert chunk.samples.base.size < 2 * 600 + 100


@pytest.mark.parametrize("family", ["wav2vec2", "hubert", "wavlm"])
def test_the_step_of_a_frame_is_found(
    make_recogniser: Callable[..., Recogniser], family: str
) -> None:
    assert samples_per_frame(make_recogniser(family)) == SAMPLES_A_FRAME
    assert samples_per_frame(Convolutions()) == samples_per_frame(Convolutions(PADDED)) == STEP


@pytest.mark.parametrize(
    ("chunk", "context", "named"),
    [
        (0, 0, "0 s"),
        (-1, 0, "-1 s"),
        (float("nan"), 0, "nan s"),
        (float("inf"), 0, "inf s"),
        (10, -1, "-1 s"),
        (10, 5, "less than 5 s"),
        (10, float("nan"), "nan s"),
    ],
)
def test_a_chunking_that_leaves_nothing_is_refused(
    chunk: float, context: float, named: str
) -> None:
    with pytest.raises(InputError, match=named):
        Chunking(chunk, context)


def test_a_chunk_shorter_than_a_frame_is_refused() -> None:
    with pytest.raises(InputError, match=r"0\.02 s.*lengthen the chunk"):
        Cutter.of(Convolutions(), Chunking(0.02, 0))
