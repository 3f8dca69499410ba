"""Recognisers measured on one corpus: what every pipeline reports."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from sottovoce.artifact.packed_model import packed_layers
from sottovoce.artifact.sizing import artifact_bytes, float_bytes
from sottovoce.loading import is_artifact
from sottovoce.models.recogniser import Recogniser
from sottovoce.quantization.plan import Plan, Shape
from sottovoce.record import Change, Comparison, LayerRow, StoredLayer, System
from sottovoce.runtime.recognition import recognise, references
from sottovoce.scoring import POWER, Score, matched_pairs, score
from sottovoce.speech.corpus import Corpus


@dataclass(frozen=True)
class ScoredSystem:
    """A recogniser's score on a corpus, and its size."""

    system: System
    score: Score


def print_warnings(notes: Iterable[str], console: Console) -> None:
    """Say what one should know of what will be measured, before hours are spent on it."""
    for note in notes:
        console.out(f"warning: {note}", highlight=False)


def evaluate_recogniser(
    recogniser: Recogniser, corpus: Corpus, name: str, console: Console | None
) -> Score:
    """Recognise a corpus and align it with its transcripts."""
    reference = references(recogniser, corpus)  # first: it may refuse them, and takes no time
    hypothesis = recognise(recogniser, corpus, name=name, console=console).transcripts
    return score(reference, hypothesis)


def float_system(name: str, recogniser: Recogniser, own: Score) -> System:
    """A full-precision recogniser's row."""
    bits = recogniser.stored_bits
    return _system(name, own, float_bytes(recogniser.model) * bits // 32, bits, bits)


def packed_system(
    name: str, folder: Path, plan: Plan, shapes: dict[str, Shape], own: Score
) -> System:
    """A packed recogniser's row; its size is that of `model.safetensors`."""
    return _system(
        name, own, artifact_bytes(folder), plan.nominal_bits(shapes), plan.effective_bits(shapes)
    )


def _system(name: str, own: Score, size: int, nominal: float, effective: float) -> System:
    return System(
        name=name, bytes=size, nominal_bits=nominal, effective_bits=effective, **rates_of(own)
    )


def rates_of(own: Score) -> dict[str, Any]:
    """The fields of a `System` that its score gives."""
    interval = own.interval()
    return {
        "wer": own.wer,
        "low": interval.low,
        "high": interval.high,
        "resampled_by": interval.resampled_by,
        "substitutions": own.substitutions,
        "deletions": own.deletions,
        "insertions": own.insertions,
        "words": own.words,
    }


def comparison(
    baseline: ScoredSystem,
    compressed: Score,
    alpha: float = 0.05,
    detectable: float = 0.10,
    power: float = POWER,
) -> Comparison:
    """The significance test of a compressed recogniser against a baseline; else as
    `matched_pairs`."""
    pairs = matched_pairs(baseline.score, compressed, alpha, detectable, power)
    return Comparison(
        baseline=baseline.system.name,
        test=pairs.test,
        segments=pairs.segments,
        z=pairs.z,
        p=pairs.p,
        detectable=pairs.detectable,
        verdict=pairs.verdict,
        sentence=pairs.sentence,
    )


def got_worse(before: Score, after: Score) -> tuple[Change, ...]:
    """The utterances that gained errors, those that gained the most first."""
    changes = [
        Change(
            utterance=name,
            speaker=after.speakers[name],
            errors_before=before.alignments[name].errors,
            errors_after=alignment.errors,
            before=before.alignments[name].pairs,
            after=alignment.pairs,
        )
        for name, alignment in after.alignments.items()
        if alignment.errors > before.alignments[name].errors
    ]
    return tuple(sorted(changes, key=lambda change: change.errors_before - change.errors_after))


def layer_rows(
    recogniser: Recogniser,
    plan: Plan,
    shapes: dict[str, Shape],
    expected_bits: Mapping[str, float] | None = None,
) -> tuple[LayerRow, ...]:
    """The plan as the report's rows.

    Args:
        expected_bits: of each layer under the distribution that was learnt.
    """
    rows = []
    for matrix in recogniser.family.encoder_matrices(recogniser.model):
        precision, shape = plan[matrix.name], shapes[matrix.name]
        rows.append(
            LayerRow(
                layer=matrix.name,
                depth=matrix.depth,
                matrix=matrix.role,
                shape=shape,
                bits=precision.bits,
                grid=precision.grid,
                granularity=precision.scale_per,
                bytes=precision.stored_bytes(shape),
                input_bits=precision.input_bits,
                expected_bits=expected_bits[matrix.name] if expected_bits else None,
            )
        )
    return tuple(rows)


def cnn_rows(recogniser: Recogniser, plan: Plan) -> tuple[StoredLayer, ...]:
    """What a packed model's plan holds beside the encoder's matrices, as the report's rows."""
    encoder = recogniser.family.shapes(recogniser.model)
    return tuple(
        StoredLayer(
            layer=name,
            shape=layer.matrix_shape,
            bits=plan[name].bits,
            grid=plan[name].grid,
            granularity=plan[name].scale_per,
            bytes=plan[name].stored_bytes(layer.matrix_shape),
            input_bits=plan[name].input_bits,
        )
        for name, layer in packed_layers(recogniser.model).items()
        if name not in encoder
    )


def system_name(model: str | Path) -> str:
    """How a baseline is named in reports."""
    return f"{Path(model).name} ({'compressed' if is_artifact(model) else 'full precision'})"
