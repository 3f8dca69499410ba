"""A compressed model for another program, and the proof that it is the same."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from sottovoce.errors import InputError
from sottovoce.exporters.folder import new_export
from sottovoce.exporters.probe import Probe
from sottovoce.loading import load, refuse_export
from sottovoce.runtime.engines import engine_of
from sottovoce.runtime.recognition import recognise
from sottovoce.runtime.verification import WrongLogits
from sottovoce.speech.corpora import read_corpus


@dataclass(frozen=True)
class Export:
    """What was written, and how it compares with the model in PyTorch.

    Attributes:
        bytes: of the exported model, its weights included.
        difference: root mean square of what logits differ by on a short noise, over theirs.
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
        try:
            exported = engine_of(unfinished)
        except WrongLogits as error:
            raise InputError(f"exported to {target}: {error}; nothing is written") from error
        difference = Probe.read(unfinished).difference(exported)
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
