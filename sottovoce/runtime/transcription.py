"""Files of any number and length to text."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from sottovoce.errors import InputError
from sottovoce.runtime.chunking import Chunking
from sottovoce.runtime.chunks import Chunk, Cutter
from sottovoce.runtime.engine import Engine
from sottovoce.runtime.recognition import not_finite
from sottovoce.speech.audio import probe, read_audio, read_blocks
from sottovoce.speech.batching import EVALUATION_SECONDS, evaluation_batches
from sottovoce.speech.loading import read_ahead
from sottovoce.speech.utterance import AudioClip

_BATCHES_PER_POOL = 5

Piece = tuple[Path, Chunk | InputError]
"""A file and its next chunk, or why it has none."""


def transcribe_files(
    engine: Engine,
    files: Sequence[Path],
    chunking: Chunking,
    *,
    refused: Callable[[InputError], None] | None = None,
    console: Console | None = None,
) -> Iterator[tuple[Path, str]]:
    """Each file with what is said in it, in order. Any rate and format that soundfile reads.

    Decoding overlaps with recognition. The chunks of about five batches are pooled and batched by
    length: little is padded, text comes early, and memory does not grow with the audio.

    Args:
        refused: is told of a file that cannot be transcribed where it is due, and the others go
            on.
        console: where a progress bar is drawn; None draws none.

    Raises:
        InputError: without `refused`, a file cannot be read, has less than a frame, or the
            model's outputs for it are not finite.
    """
    if engine.hears_whole_recordings:
        yield from _whole_recordings(engine, files, refused, console)
        return
    pieces = _pieces(engine, Cutter.of(engine, chunking), files)
    best: list[np.ndarray | None] = []  # of the file that is under way
    with _bar(engine, files, console) as heard:
        for pool in read_ahead(_pools(pieces, engine.sampling_rate)):
            chunks = [piece for _, piece in pool if isinstance(piece, Chunk)]
            labels = iter(_best_labels(engine, chunks, heard))
            for file, piece in pool:
                failure = piece if isinstance(piece, InputError) else None
                if isinstance(piece, Chunk):
                    best.append(next(labels))
                    if not piece.last:
                        continue
                    finite = [one for one in best if one is not None]
                    if len(finite) == len(best):
                        yield file, engine.decode(np.concatenate(finite))
                    else:
                        failure = not_finite(str(file))
                best = []
                if failure is not None and refused is None:
                    raise failure
                if failure is not None and refused is not None:
                    refused(failure)


def _whole_recordings(
    engine: Engine,
    files: Sequence[Path],
    refused: Callable[[InputError], None] | None,
    console: Console | None,
) -> Iterator[tuple[Path, str]]:
    """One file after another, by the model's own way with recordings of any length."""
    with _bar(engine, files, console) as heard:
        for file in files:
            try:
                waveform = read_audio(AudioClip(file), engine.sampling_rate)
                _refuse_short(engine, file, waveform)
                (text,) = engine.recognise([waveform])
                if text is None:
                    raise not_finite(str(file))
            except InputError as error:
                if refused is None:
                    raise
                refused(error)
                continue
            yield file, text
            heard(engine.frames_of(len(waveform)))


def _pieces(engine: Engine, cutter: Cutter, files: Sequence[Path]) -> Iterator[Piece]:
    for file in files:
        try:
            for chunk in cutter.cut(read_blocks(AudioClip(file), engine.sampling_rate)):
                _refuse_short(engine, file, chunk.samples)
                yield file, chunk
        except InputError as error:
            yield file, error


def _refuse_short(engine: Engine, file: Path, samples: np.ndarray) -> None:
    if len(samples) < engine.shortest:
        raise InputError(
            f"{file} has {len(samples)} samples; the model needs {engine.shortest}: leave it out"
        )


def _pools(pieces: Iterable[Piece], sampling_rate: int) -> Iterator[list[Piece]]:
    pool: list[Piece] = []
    room = full = _BATCHES_PER_POOL * EVALUATION_SECONDS * sampling_rate
    for file, piece in pieces:
        pool.append((file, piece))
        room -= len(piece.samples) if isinstance(piece, Chunk) else 0
        if room <= 0:
            yield pool
            pool, room = [], full
    yield pool


def _best_labels(
    engine: Engine, chunks: Sequence[Chunk], heard: Callable[[int], None]
) -> list[np.ndarray | None]:
    """Of each chunk's kept frames, [frames]; None where its logits are not finite. Only these are
    held of a recording, not its logits."""
    durations = [len(one.samples) / engine.sampling_rate for one in chunks]
    best: dict[int, np.ndarray | None] = {}
    for batch in evaluation_batches(durations, EVALUATION_SECONDS):
        logits = engine.frame_logits([chunks[index].samples for index in batch])
        frames = 0
        for index, one in zip(batch, logits, strict=True):
            kept = one[chunks[index].kept]
            best[index] = kept.argmax(1) if np.isfinite(kept).all() else None
            frames += len(kept)
        heard(frames)
    return [best[index] for index in range(len(chunks))]


@contextmanager
def _bar(
    engine: Engine, files: Sequence[Path], console: Console | None
) -> Iterator[Callable[[int], None]]:
    """Gives what is to be told how many frames more are done."""
    if console is None or not console.is_terminal:
        yield lambda _: None
        return
    frames = 0
    for file in files:
        with suppress(InputError):  # which is for the transcription to tell
            frames += engine.frames_of(round(probe(AudioClip(file)) * engine.sampling_rate))
    # Text that goes to a file or a pipe must not be drawn above the bar instead.
    with Progress(console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        yield partial(bar.advance, bar.add_task("transcribing", total=frames))
