"""Sweeps: how many words quantizing some layers changes."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from sottovoce.files import read_json, write_text
from sottovoce.models.recogniser import Recogniser
from sottovoce.ptq.effort import Job
from sottovoce.ptq.layers import Layer, Quantized, quantizing
from sottovoce.scoring import Transcripts, score
from sottovoce.sensitivity.trials import TriedBatch, most_divergent
from sottovoce.speech.batching import evaluation_order
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.loading import prefetched

CHANGES_AT_MOST = 0.0025
"""Of the words of calibration speech: more, and a model is not what it was."""
FULL = "full precision"
_SECONDS = 60.0

T = TypeVar("T")


@dataclass(frozen=True)
class Change:
    """How many words were changed, of how many."""

    errors: int
    words: int

    @property
    def share(self) -> float:
        """1 where there were none."""
        return self.errors / self.words if self.words else float(self.errors > 0)

    @property
    def does_harm(self) -> bool:
        """True above 0.25% and more than a single word: little speech can show no less."""
        return self.errors > 1 and self.share > CHANGES_AT_MOST


@torch.inference_mode()
def transcripts(
    recogniser: Recogniser,
    layers: Mapping[str, Layer],
    trials: Mapping[str, Mapping[str, Quantized]],
    corpus: Corpus,
    kept: Path,
    job: Job,
) -> dict[str, Transcripts]:
    """Recognise speech in full precision, under the name `FULL`, and under every trial.

    Args:
        layers: in the order of computation.
        trials: layers that are quantized together, by a name of its own each, and not `FULL`.
        corpus: calibration speech; its transcripts are not read.
        kept: file for what was recognised so far, by any sweep of this speech; it is not
            recognised again.
    """
    texts: dict[str, dict[str, str]] = read_json(kept) if kept.exists() else {}
    for name in (FULL, *trials):
        texts.setdefault(name, {})
    missing = [
        batch
        for batch in evaluation_order(corpus.utterances, _SECONDS)
        if any(batch[0].id not in texts[name] for name in (FULL, *trials))
    ]
    with recogniser.evaluating():
        for decoded in prefetched(iter(missing), recogniser.sampling_rate):
            ids = [utterance.id for utterance, _ in decoded]
            batch = TriedBatch(recogniser, [waveform for _, waveform in decoded])
            for name in (FULL, *trials):
                if ids[0] in texts[name]:
                    continue
                trial = quantizing(layers, trials[name]) if name in trials else None
                written = [text or "" for text in batch.texts_of(trial)]
                texts[name] |= dict(zip(ids, written, strict=True))
                job.advance(batch.seconds)
            write_text(kept, json.dumps(texts))
    return {name: _transcripts(name, texts[name], corpus) for name in (FULL, *trials)}


def measure_changes(
    recogniser: Recogniser,
    layers: Mapping[str, Layer],
    trials: Mapping[str, Mapping[str, Quantized]],
    corpus: Corpus,
    kept: Path,
    job: Job,
) -> dict[str, Change]:
    """Count the words that every trial changes; parameters as of `transcripts`."""
    recognised = transcripts(recogniser, layers, trials, corpus, kept, job)
    return {name: changed_word_rate(recognised[FULL], recognised[name]) for name in trials}


def _transcripts(name: str, texts: Mapping[str, str], corpus: Corpus) -> Transcripts:
    return Transcripts(
        name,
        {
            utterance.id: (utterance.speaker, tuple(texts[utterance.id].split()))
            for utterance in corpus.utterances
        },
    )


def select_harmless(
    trials: Sequence[T],
    change: Callable[[Sequence[T]], Change],
    rank: Callable[[], Mapping[T, float]],
) -> list[T]:
    """The trials that together do no harm: all, or as many as may be of those that diverge least.

    How many is found by bisection, so that n trials take at most 1 + log2(n) recognitions.

    Args:
        change: what trials change together.
        rank: how far each diverges alone; asked for only where all together do harm.
    """
    if not trials or not change(trials).does_harm:
        return list(trials)
    order = most_divergent(rank())[::-1]
    good, bad = 0, len(order)
    while bad - good > 1:
        middle = (good + bad) // 2
        if change(order[:middle]).does_harm:
            bad = middle
        else:
            good = middle
    return order[:good]


def recognitions(trials: int) -> int:
    """How often `select_harmless` may recognise at most."""
    return 1 + max(0, trials - 1).bit_length()


def changed_word_rate(full: Transcripts, changed: Transcripts) -> Change:
    """Count word errors against full precision's words; all changed words where it has none."""
    if any(words for _, words in full.utterances.values()):
        result = score(full, changed)
        return Change(result.errors, result.words)
    return Change(sum(len(words) for _, words in changed.utterances.values()), 0)
