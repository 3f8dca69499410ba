"""The word error rate with one layer quantized at a time, cheaply.

Every batch is run in full precision once; each trial then computes from its own layer on.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from sottovoce.files import write_text
from sottovoce.models.recogniser import Recogniser
from sottovoce.posttraining.layers import Layer, Quantized, replaced
from sottovoce.posttraining.replay import Replay
from sottovoce.runtime.recognition import references
from sottovoce.scoring import Transcripts, score
from sottovoce.speech.batching import evaluation_order
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.loading import prefetched

FULL = "full precision"
_SECONDS = 60.0


@dataclass(frozen=True)
class Trial:
    """A layer quantized in some way."""

    layer: str
    quantized: Quantized


@torch.inference_mode()
def word_error_rates(
    recogniser: Recogniser,
    layers: Mapping[str, Layer],
    trials: Mapping[str, Trial],
    corpus: Corpus,
    kept: Path,
    console: Console,
) -> dict[str, float]:
    """The rate of every trial, and of `FULL`.

    Args:
        trials: by a name of its own each.
        kept: file for what was recognised so far; a sweep that stopped goes on from it.
    """
    said: dict[str, dict[str, str]] = {name: {} for name in (FULL, *trials)}
    done = 0
    if kept.exists():
        state = json.loads(kept.read_text())
        done, said = state["batches"], state["said"]
    rest = evaluation_order(corpus.utterances, _SECONDS)[done:]
    found = prefetched(iter(rest), recogniser.sampling_rate)
    with recogniser.evaluating():
        for batch in track(found, "one layer at a time", total=len(rest), console=console):
            ids = [one.id for one, _ in batch]
            waveforms = [waveform for _, waveform in batch]
            for name, texts in _recognised(recogniser, layers, trials, waveforms):
                said[name] |= dict(zip(ids, texts, strict=True))
            done += 1
            write_text(kept, json.dumps({"batches": done, "said": said}))
    reference = references(recogniser, corpus)
    return {
        name: score(
            reference,
            Transcripts(
                name,
                {u: (who, tuple(texts[u].split())) for u, (who, _) in reference.utterances.items()},
            ),
        ).wer
        for name, texts in said.items()
    }


def _recognised(
    recogniser: Recogniser,
    layers: Mapping[str, Layer],
    trials: Mapping[str, Trial],
    waveforms: Sequence[np.ndarray],
) -> Iterator[tuple[str, list[str]]]:
    """Each trial's texts of a batch."""
    features = recogniser.features(waveforms)
    replay = Replay(recogniser, features)
    yield FULL, recogniser.texts(replay.logits, features)
    family = recogniser.family
    front_end = tuple(f"{family.backbone}.{path}." for path in family.front_end.modules)
    for name, trial in trials.items():
        with replaced(layers, {trial.layer: trial.quantized}):
            if trial.layer.startswith(front_end):
                own = recogniser.features(waveforms)
                logits = recogniser.logits(own)
            else:
                logits = replay.again(trial.layer)
        yield name, recogniser.texts(logits, features)
