"""What quantizing some layers does to the words, cheaply.

Every batch is run in full precision once; each trial then computes from its first layer on.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from sottovoce.files import read_json, write_text
from sottovoce.models.recogniser import Recogniser
from sottovoce.posttraining.layers import Layer, Quantized, replaced
from sottovoce.posttraining.replay import Replay
from sottovoce.scoring import Transcripts, score
from sottovoce.speech.batching import evaluation_order
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.loading import prefetched

CHANGES_AT_MOST = 0.0025
"""Of the words of calibration speech: more, and a model is not what it was."""
FULL = "full precision"
_SECONDS = 60.0

T = TypeVar("T")
Trial = Mapping[str, Quantized]
"""Layers that are quantized together."""


@torch.inference_mode()
def changes(
    recogniser: Recogniser,
    layers: Mapping[str, Layer],
    trials: Mapping[str, Trial],
    corpus: Corpus,
    kept: Path,
    console: Console,
) -> dict[str, float]:
    """The share of the words that every trial changes, by `words_changed`.

    Args:
        layers: in the order of computation.
        corpus: calibration speech; its transcripts are not read.
        trials: by a name of its own each, and not `FULL`.
        kept: file for what was recognised so far; a sweep that stopped goes on from it.
    """
    said: dict[str, dict[str, str]] = {name: {} for name in (FULL, *trials)}
    done = 0
    if kept.exists():
        state = read_json(kept)
        done, said = state["batches"], state["said"]
    rest = evaluation_order(corpus.utterances, _SECONDS)[done:]
    found = prefetched(iter(rest), recogniser.sampling_rate)
    with recogniser.evaluating():
        for batch in track(found, "what quantizing does", total=len(rest), console=console):
            ids = [one.id for one, _ in batch]
            features = recogniser.features([waveform for _, waveform in batch])
            replay = Replay(recogniser, features)
            texts = recogniser.texts(replay.logits, features)
            said[FULL] |= dict(zip(ids, texts, strict=True))
            for name, logits in _logits(recogniser, layers, trials, replay, batch):
                texts = recogniser.texts(logits, features)
                said[name] |= dict(zip(ids, texts, strict=True))
            done += 1
            write_text(kept, json.dumps({"batches": done, "said": said}))
    heard = {name: _transcripts(name, texts, corpus) for name, texts in said.items()}
    return {name: words_changed(heard[FULL], heard[name]) for name in trials}


def _logits(
    recogniser: Recogniser,
    layers: Mapping[str, Layer],
    trials: Mapping[str, Trial],
    replay: Replay,
    batch: Sequence[tuple[object, np.ndarray]],
) -> Iterator[tuple[str, Tensor]]:
    """Each trial's logits of a batch."""
    family = recogniser.family
    front_end = tuple(f"{family.backbone}.{path}." for path in family.front_end.modules)
    for name, trial in trials.items():
        first = next(layer for layer in layers if layer in trial)
        with replaced(layers, trial):
            if first.startswith(front_end):
                own = recogniser.features([waveform for _, waveform in batch])
                yield name, recogniser.logits(own)
            else:
                yield name, replay.again(first)


def _transcripts(name: str, texts: Mapping[str, str], corpus: Corpus) -> Transcripts:
    return Transcripts(
        name, {one.id: (one.speaker, tuple(texts[one.id].split())) for one in corpus.utterances}
    )


def harmless(
    trials: Sequence[T], change: Callable[[Sequence[T]], float], what: str, console: Console
) -> list[T]:
    """The trials that together change few enough words: all, or those that do alone, less the ones
    that change most by themselves.

    Args:
        change: the share of the words that trials change together.
        what: for the progress bar.
    """
    if not trials or change(trials) <= CHANGES_AT_MOST:
        return list(trials)
    alone = {one: change([one]) for one in track(trials, what, console=console)}
    kept = sorted((one for one in trials if alone[one] <= CHANGES_AT_MOST), key=alone.__getitem__)
    if len(kept) == len(trials):
        kept.pop()
    while kept and change(kept) > CHANGES_AT_MOST:
        kept.pop()
    return kept


def words_changed(full: Transcripts, other: Transcripts) -> float:
    """Word error rate against full precision's words; 0 or 1 where that says nothing at all."""
    if any(words for _, words in full.utterances.values()):
        return score(full, other).wer
    return float(any(words for _, words in other.utterances.values()))
