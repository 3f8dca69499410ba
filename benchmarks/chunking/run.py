"""What cutting long recordings costs in words, and what their length costs in memory.

    python -m benchmarks.chunking.run

It joins each dev speaker's `commands` utterances into recordings of about a minute and has
the reference recogniser transcribe them in chunks of several lengths with several contexts, whole,
and (the utterances) apart. Then it has noise transcribed, in stereo at 44.1 kHz, an hour by
the reference recogniser and minutes by random weights of the wav2vec2-base shape, each in a fresh
process, and notes the largest resident size, interpreter and libraries included. Rows are kept in
`benchmarks/results/chunking.json`.
"""

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from multiprocessing import get_context
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile

from benchmarks.inputs import Inputs, Needs, parser_of, run
from benchmarks.random_speech import BASE, random_recogniser
from benchmarks.rows import RESULTS, machine, row_of
from sottovoce.loading import load_checkpoint
from sottovoce.runtime.chunking import Chunking
from sottovoce.runtime.recognition import recognise, references
from sottovoce.runtime.transcription import transcribe_files
from sottovoce.scoring import Transcripts, score
from sottovoce.speech.audio import read_audio
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.utterance import Utterance

NEEDS = Needs(hours=0.5, data=True)
ROWS = RESULTS / "chunking.json"
RECORDING_SECONDS = 60
WHOLE = Chunking(3600.0, 0.0)
CHUNKINGS = tuple(
    Chunking(chunk, context)
    for chunk, contexts in {5.0: (0, 1), 10.0: (0, 1, 2), 20.0: (0, 2), 30.0: (0, 2, 4)}.items()
    for context in contexts
)
MINUTES = {"reference": 60, "wav2vec2-base": 2}
RATE = 44100


@dataclass(frozen=True)
class Recording:
    """Utterances of one speaker, and the file that they are joined in."""

    utterances: tuple[Utterance, ...]
    file: Path

    def said(self, words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """Words beside their speaker, as transcripts have them."""
        return self.utterances[0].speaker, tuple(words)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows that are missing: memory first, before this process grows."""
    inputs = Inputs.at(parser_of(__doc__, NEEDS).parse_args(arguments).data)
    for model, minutes in MINUTES.items():
        key = {"measure": "memory", "model": model, "minutes": minutes, **asdict(Chunking())}
        row_of(ROWS, key, partial(in_fresh_process, inputs, model, minutes))
    with TemporaryDirectory() as folder:
        measure_words(inputs, Path(folder))


def measure_words(inputs: Inputs, folder: Path) -> None:
    """Word errors of the same recordings, heard in every way."""
    engine, corpus = load_checkpoint(inputs.checkpoint), read_corpus(inputs.dev)
    recordings = list(joined(corpus, engine.sampling_rate, folder))
    reference = in_recordings(references(engine, corpus), recordings)

    def apart() -> Transcripts:
        return in_recordings(recognise(engine, corpus).transcripts, recordings)

    def heard(chunking: Chunking) -> Transcripts:
        found = transcribe_files(engine, [one.file for one in recordings], chunking)
        pairs = zip(recordings, found, strict=True)
        return Transcripts(
            "heard", {one.file.stem: one.said(text.split()) for one, (_, text) in pairs}
        )

    ways: dict[str, Callable[[], Transcripts]] = {"apart": apart, "whole": partial(heard, WHOLE)}
    ways |= {f"{one.chunk:g} s, {one.context:g} s": partial(heard, one) for one in CHUNKINGS}
    for way, recognised in ways.items():
        key = {"measure": "words", "way": way, "recordings_of_seconds": RECORDING_SECONDS}
        row_of(ROWS, key, partial(scored, reference, recognised))


def joined(corpus: Corpus, sampling_rate: int, folder: Path) -> Iterator[Recording]:
    """Each speaker's utterances in recordings of `RECORDING_SECONDS` or little more."""
    speaker = attrgetter("speaker")
    for name, own in groupby(sorted(corpus.utterances, key=speaker), speaker):
        ends = 0.0
        parts: dict[int, list[Utterance]] = {}
        for one in own:
            parts.setdefault(int(ends // RECORDING_SECONDS), []).append(one)
            ends += one.duration
        for index, utterances in parts.items():
            recording = Recording(tuple(utterances), folder / f"{name}-{index}.wav")
            samples = [read_audio(one.audio, sampling_rate) for one in utterances]
            soundfile.write(recording.file, np.concatenate(samples), sampling_rate, "FLOAT")
            yield recording


def in_recordings(apart: Transcripts, recordings: Sequence[Recording]) -> Transcripts:
    """The transcripts of utterances, joined as the utterances are."""
    words = {
        one.file.stem: one.said(
            [word for u in one.utterances for word in apart.utterances[u.id][1]]
        )
        for one in recordings
    }
    return Transcripts(apart.name, words)


def scored(reference: Transcripts, recognised: Callable[[], Transcripts]) -> dict[str, Any]:
    started = time.process_time()
    found = score(reference, recognised())
    spent = time.process_time() - started
    print(found.sentence, flush=True)
    return {
        "wer": found.wer,
        "errors": found.errors,
        "words": found.words,
        "recordings": len(reference.utterances),
        "cpu_seconds": spent,
    }


def in_fresh_process(inputs: Inputs, model: str, minutes: int) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(transcribe_noise, inputs, model, minutes).result()


def transcribe_noise(inputs: Inputs, model: str, minutes: int) -> dict[str, Any]:
    """Peak of resident memory and the time it took; the process must be fresh."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "noise.wav"
        with soundfile.SoundFile(path, "w", RATE, channels=2) as file:
            for minute in range(minutes):
                noise = np.random.default_rng(minute).standard_normal((60 * RATE, 2), np.float32)
                file.write(0.1 * noise)
        reference = model == "reference"
        engine = load_checkpoint(inputs.checkpoint) if reference else random_recogniser(BASE)
        started = time.process_time()
        list(transcribe_files(engine, [path], Chunking()))
        spent = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{model}: {peak / 1e9:.2f} GB, {spent:.0f} s", flush=True)
    return {"bytes": peak, "cpu_seconds": spent, **machine()}


if __name__ == "__main__":
    run(main)
