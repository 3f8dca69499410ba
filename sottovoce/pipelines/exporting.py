"""A compressed model for another program, and the proof that it is the same."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from sottovoce.artifact.attention import rounded_attentions
from sottovoce.artifact.packed_model import packed_layers
from sottovoce.errors import InputError
from sottovoce.exporters.folder import new_export
from sottovoce.models.checkpoint import load, refuse_export
from sottovoce.models.recogniser import Recogniser
from sottovoce.runtime.engine import Engine
from sottovoce.runtime.engines import engine_of
from sottovoce.runtime.recognition import recognise
from sottovoce.speech.corpora import read_corpus

_SECONDS = 3
_EXACT = 1e-3
_ROUNDED = 0.3
"""Of the largest logit: kernels add up in other orders; and an 8-bit input between two codes may
fall to either, which moves what follows by steps."""


@dataclass(frozen=True)
class Export:
    """What was written, and how it compares with the model in PyTorch.

    Attributes:
        bytes: of the exported model, its weights included.
        difference: the largest of a logit on three seconds of coloured noise.
        differing: (utterance, text in PyTorch, text of the export) where they are not the same;
            None where no speech was given.
        utterances: how many were compared.
        notes: what else a user should know.
    """

    bytes: int
    difference: float
    differing: tuple[tuple[str, str, str], ...] | None
    utterances: int
    notes: tuple[str, ...]


def export(
    model: str | Path,
    target: str,
    out: str | Path,
    *,
    check: str | Path | None = None,
    console: Console | None = None,
) -> Export:
    """Write a model for another program, having run it there once.

    Example:
        ```python
        exported = sottovoce.export("small", "onnx", "small-onnx")
        ```

    Args:
        model: a compressed folder, or a checkpoint (hub id, folder).
        target: one of `TARGETS`.
        out: folder to write; it must not exist.
        check: a corpus that both recognise, utterance by utterance.

    Raises:
        InputError: a layer cannot be expressed (it is named), a package is missing, or something
            given cannot be used, or the export computes something else; nothing is written then.
    """
    refuse_export(model)
    recogniser, out = load(model), Path(out)
    corpus = None if check is None else read_corpus(check, transcribed=False)
    with new_export(recogniser, target, out) as (unfinished, notes):
        exported = engine_of(unfinished)
        difference = _difference(recogniser, exported, target)
        differing = None
        if corpus is not None:
            first, second = (
                recognise(engine, corpus, name=name, console=console).transcripts.utterances
                for engine, name in ((recogniser, "PyTorch"), (exported, target))
            )
            differing = tuple(
                (name, " ".join(first[name][1]), " ".join(second[name][1]))
                for name in first
                if first[name] != second[name]
            )
    return Export(
        bytes=sum(file.stat().st_size for file in out.glob("model.*")),
        difference=difference,
        differing=differing,
        utterances=len(corpus.utterances) if corpus is not None else 0,
        notes=notes,
    )


def _difference(recogniser: Recogniser, exported: Engine, target: str) -> float:
    """Raises InputError where it is more than rounding explains."""
    white = np.random.default_rng(0).standard_normal(_SECONDS * recogniser.sampling_rate)
    # Speech changes slowly; white noise would hide what rounding does to its statistics.
    noise = np.convolve(white, 0.95 ** np.arange(100), mode="same")
    one, other = (
        each.frame_logits([noise.astype(np.float32)])[0] for each in (recogniser, exported)
    )
    difference = float(np.abs(one - other).max()) if one.shape == other.shape else np.inf
    layers = packed_layers(recogniser.model).values()
    has_inputs = any(layer.precision.input_bits for layer in layers)
    steps = has_inputs or rounded_attentions(recogniser.model)
    if not difference <= (_ROUNDED if steps else _EXACT) * np.abs(one).max():
        raise InputError(
            f"exported to {target}, the model computes other logits, by {difference:.2g}; "
            "nothing is written; please report this"
        )
    return difference
