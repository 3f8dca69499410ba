"""A recogniser run over a corpus."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from sottovoce.errors import InputError, prefix_errors
from sottovoce.memory import explain_out_of_memory
from sottovoce.runtime.engine import Engine
from sottovoce.scoring import Transcripts
from sottovoce.speech.batching import EVALUATION_SECONDS, evaluation_order
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.labels import NO_NORMALISER
from sottovoce.speech.loading import prefetched
from sottovoce.speech.utterance import Utterance


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
    seconds: float = EVALUATION_SECONDS,
    name: str = "hypothesis",
    console: Console | None = None,
) -> Recognised:
    """Greedy transcripts of every utterance.

    Args:
        seconds: of padded audio in a batch; it changes the speed, not the text.
        name: of the transcripts.
        console: where a progress bar is drawn; None draws none.

    Raises:
        InputError: audio that cannot be read, or that is too short for a single frame; or the
            model's outputs are not finite.
    """
    utterances = corpus.utterances
    batches = evaluation_order(utterances, seconds)
    words: dict[str, tuple[str, tuple[str, ...]]] = {}
    started = time.monotonic()
    decoded = prefetched(iter(batches), engine.sampling_rate)
    unseen = console is None or not console.is_terminal
    for batch in track(
        decoded, escape(name), total=len(batches), console=console, disable=unseen, transient=True
    ):
        refuse_short(engine, corpus, batch)
        longest = max((one for one, _ in batch), key=lambda one: one.duration)
        with explain_out_of_memory(
            f"in {corpus.name} at utterance {longest.id}, {longest.duration:.0f} s: cut what is as "
            "long, or leave it out"
        ):
            texts = engine.recognise([waveform for _, waveform in batch])
        for (utterance, _), text in zip(batch, texts, strict=True):
            if text is None:
                raise not_finite(f"{corpus.name}: utterance {utterance.id}")
            words[utterance.id] = (utterance.speaker, engine.labels.words(text))
    spent = time.monotonic() - started
    in_order = {one.id: words[one.id] for one in utterances}
    return Recognised(Transcripts(name, in_order), corpus.hours * 3600, spent)


def not_finite(speech: str) -> InputError:
    """What to raise where a model's logits are not numbers, of which argmax makes a blank.

    Args:
        speech: what it was to recognise, as a sentence begins.
    """
    return InputError(
        f"{speech}: the model's outputs are not finite numbers; its weights, or its feature "
        "extractor's settings, are not those that it was trained with"
    )


def refuse_short(
    engine: Engine, corpus: Corpus, batch: Sequence[tuple[Utterance, np.ndarray]]
) -> None:
    """Raises InputError where an utterance is too short for a single frame; it is named."""
    for one, waveform in batch:
        if len(waveform) < engine.shortest:
            raise InputError(
                f"{corpus.name}: utterance {one.id} has {len(waveform)} samples; the model needs "
                f"{engine.shortest} at least: leave it out"
            )


def name_of_speech(engine: Engine, corpus: Corpus) -> str:
    """A corpus's name, and how words are compared where that is not as they are written."""
    normaliser = engine.labels.normaliser
    if normaliser == NO_NORMALISER:
        return corpus.name
    return f"{corpus.name} ({normaliser} normaliser)"


def references(engine: Engine, corpus: Corpus) -> Transcripts:
    """The corpus's own transcripts, normalised to the engine's vocabulary.

    Raises:
        InputError: one has characters outside it, or none has a word.
    """
    with prefix_errors(corpus.name):
        words = {
            one.id: (one.speaker, tuple(engine.labels.normalise(one.text, one.id).split()))
            for one in corpus.utterances
        }
    if not any(spoken for _, spoken in words.values()):
        raise InputError(f"{corpus.name} has no words in its transcripts to score by; add them")
    return Transcripts("reference", words)
