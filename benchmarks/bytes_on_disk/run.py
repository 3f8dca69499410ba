"""Bytes on disk against P1's published compression ratios, at P1's two model shapes.

    python -m benchmarks.bytes_on_disk.run

Writes real artifacts of randomly initialised models: bytes do not depend on the weights. As in P1,
the six matrices of each encoder layer are quantized with one scale a tensor, all else stays
float32. Prints a table and writes benchmarks/results/bytes_on_disk.json.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from transformers import (
    HubertConfig,
    HubertForCTC,
    PreTrainedModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
)

from benchmarks.inputs import Needs, parser_of, run
from benchmarks.rows import RESULTS
from sottovoce.artifact import PackedLinear, float_bytes, write_artifact
from sottovoce.models.families import family_of
from sottovoce.models.family import TRANSFORMER_MATRICES
from sottovoce.models.processor import new_processor
from sottovoce.quantization.affine import Affine
from sottovoce.quantization.plan import Plan, Precision, Shape

NEEDS = Needs(hours=0.1)
ROWS = RESULTS / "bytes_on_disk.json"
CANDIDATES = (2, 4, 8)
_VOCABULARY = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4}
PUBLISHED = {
    "wav2vec2-base": {6.0: 3.72, 4.6: 4.36, 4.0: 4.70, 2.0: 6.39},
    "hubert-large": {6.0: 4.50, 4.0: 6.16, 3.8: 6.40, 2.0: 9.75},
}
"""Shape -> nominal bits -> P1's ratio as arithmetic gives it (its tables round to one decimal)."""


@dataclass(frozen=True)
class Row:
    """One artifact; `published` is P1's ratio at `target_bits`."""

    shape: str
    target_bits: float
    nominal_bits: float
    effective_bits: float
    float_bytes: int
    artifact_bytes: int
    ratio: float
    published: float


def build(shape: str) -> PreTrainedModel:
    """A randomly initialised model of P1's size."""
    if shape == "wav2vec2-base":
        return Wav2Vec2ForCTC(Wav2Vec2Config())
    large = HubertConfig(
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        conv_bias=True,
    )
    return HubertForCTC(large)


def encoder_linears(model: PreTrainedModel) -> dict[str, nn.Linear]:
    """Layer name -> matrix, six for each encoder layer."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name.endswith(tuple(TRANSFORMER_MATRICES.values()))
    }


def plan_at(shapes: dict[str, Shape], bits: float) -> Plan:
    """Uniform at a whole number of bits; else a mixture whose running mean keeps to `bits`.

    The mixture takes the largest matrices first, so that the smallest settle the last digits.
    """
    if bits.is_integer():
        return Plan({layer: Precision(int(bits), granularity="tensor") for layer in shapes})
    chosen: dict[str, Precision] = {}
    owed = 0.0
    for layer in sorted(shapes, key=lambda layer: -shapes[layer][0] * shapes[layer][1]):
        weights = shapes[layer][0] * shapes[layer][1]
        owed += weights * bits
        width = min(CANDIDATES, key=lambda candidate: abs(owed - weights * candidate))
        owed -= weights * width
        chosen[layer] = Precision(width, granularity="tensor")
    return Plan({layer: chosen[layer] for layer in shapes})


def measure(model: PreTrainedModel, shape: str, all_bits: Iterable[float]) -> Iterator[Row]:
    """One artifact written, measured and deleted for each of `all_bits`."""
    linears = encoder_linears(model)
    shapes = {name: (linear.out_features, linear.in_features) for name, linear in linears.items()}
    before = float_bytes(model)
    processor = new_processor(_VOCABULARY, Wav2Vec2FeatureExtractor(), family_of("wav2vec2"))
    for bits in all_bits:
        plan = plan_at(shapes, bits)
        packed = {
            name: PackedLinear.from_weight(
                linear.weight, Affine(linear.weight.std().view(1, 1)), plan[name], linear.bias
            )
            for name, linear in linears.items()
        }
        with tempfile.TemporaryDirectory() as folder:
            after = write_artifact(Path(folder) / "artifact", model, processor, packed, plan)
        yield Row(
            shape=shape,
            target_bits=bits,
            nominal_bits=round(plan.nominal_bits(shapes), 4),
            effective_bits=round(plan.effective_bits(shapes), 4),
            float_bytes=before,
            artifact_bytes=after,
            ratio=round(before / after, 4),
            published=PUBLISHED[shape][bits],
        )


def _print(rows: list[Row]) -> None:
    table = Table("shape", "bits", "nominal", "effective", "float MB", "on disk MB", "ratio", "P1")
    for row in rows:
        table.add_row(
            row.shape,
            f"{row.target_bits:.1f}",
            f"{row.nominal_bits:.3f}",
            f"{row.effective_bits:.3f}",
            f"{row.float_bytes / 1e6:.1f}",
            f"{row.artifact_bytes / 1e6:.1f}",
            f"{row.ratio:.2f}x",
            f"{row.published:.2f}x",
        )
    Console(width=100).print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both shapes, print the table, write the rows."""
    parser_of(__doc__, NEEDS).parse_args(arguments)
    torch.manual_seed(0)
    rows = [
        row
        for shape, published in PUBLISHED.items()
        for row in measure(build(shape), shape, published)
    ]
    _print(rows)
    ROWS.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    run(main)
