"""A recogniser run over a corpus."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from sottovoce.errors import InputError
from sottovoce.runtime.engine import Engine
from sottovoce.scoring import Transcripts
from sottovoce.speech.audio import read_audio
from sottovoce.speech.batching import evaluation_order
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.loading import prefetched
from sottovoce.speech.utterance import AudioClip

_LONGEST_SECONDS = 600
"""Attention over more frames than these outgrows the memory of ordinary machines."""


@dataclass(frozen=True)
class Recognised:
    """What was recognised, and how long it took.

    Attributes:
        real_time_factor: seconds of computing for a second of audio, decoding included.
    """

    transcripts: Transcripts
    seconds_of_audio: float
    seconds: float

    @property
    def real_time_factor(self) -> float:
        return self.seconds / self.seconds_of_audio


def recognise(
    engine: Engine,
    corpus: Corpus,
    *,
    seconds: float = 60.0,
    name: str = "hypothesis",
    console: Console | None = None,
) -> Recognised:
    """Greedy transcripts of every utterance.

    Args:
        seconds: of padded audio in a batch; it changes the speed, not the text.
        name: of the transcripts.
        console: where a progress bar is drawn; None draws none.

    Raises:
        InputError: audio that cannot be read, or that is too short for a single frame.
    """
    utterances = corpus.utterances
    batches = evaluation_order(utterances, seconds)
    words: dict[str, tuple[str, tuple[str, ...]]] = {}
    started = time.monotonic()
    decoded = prefetched(iter(batches), engine.sampling_rate)
    unseen = console is None or not console.is_terminal
    for batch in track(
        decoded, name, total=len(batches), console=console, disable=unseen, transient=True
    ):
        for one, waveform in batch:
            if len(waveform) < engine.shortest:
                raise InputError(
                    f"{corpus.name}: utterance {one.id} has {len(waveform)} samples; the model "
                    f"needs {engine.shortest} at least: leave it out"
                )
        logits = engine.frame_logits([waveform for _, waveform in batch])
        for (one, _), found in zip(batch, logits, strict=True):
            words[one.id] = (one.speaker, tuple(engine.labels.greedy(found).split()))
    spent = time.monotonic() - started
    in_order = {one.id: words[one.id] for one in utterances}
    return Recognised(Transcripts(name, in_order), corpus.hours * 3600, spent)


def references(engine: Engine, corpus: Corpus) -> Transcripts:
    """The corpus's own transcripts, normalised to the engine's vocabulary."""
    words = {
        one.id: (one.speaker, tuple(engine.labels.normalise(one.text, one.id).split()))
        for one in corpus.utterances
    }
    return Transcripts("reference", words)


def transcribe_files(engine: Engine, files: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Each file with what is said in it, in order. Any rate and format that soundfile reads.

    Raises:
        InputError: a file cannot be read, has less than a frame, or lasts over ten minutes.
    """
    for file in files:
        waveform = read_audio(AudioClip(file), engine.sampling_rate)
        if len(waveform) < engine.shortest:
            raise InputError(
                f"{file} has {len(waveform)} samples; the model needs {engine.shortest}"
            )
        if len(waveform) > _LONGEST_SECONDS * engine.sampling_rate:
            raise InputError(
                f"{file} lasts {len(waveform) / engine.sampling_rate / 60:.0f} minutes; the "
                f"model sees a file whole, {_LONGEST_SECONDS // 60} minutes at most: cut it"
            )
        yield file, engine.labels.greedy(engine.frame_logits([waveform])[0])
