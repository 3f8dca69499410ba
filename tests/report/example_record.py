"""A run's record as a real one would be, made by arithmetic: wav2vec2-base at about four bits."""

import math
from dataclasses import replace

from sottovoce.quantization.plan import Precision
from sottovoce.record import (
    Change,
    Comparison,
    LayerRow,
    RunRecord,
    System,
    TrainingPoint,
)

WIDTH = 768
MATRICES = {
    "q": ("attention.q_proj", (WIDTH, WIDTH)),
    "k": ("attention.k_proj", (WIDTH, WIDTH)),
    "v": ("attention.v_proj", (WIDTH, WIDTH)),
    "out": ("attention.out_proj", (WIDTH, WIDTH)),
    "feed-forward in": ("feed_forward.intermediate_dense", (4 * WIDTH, WIDTH)),
    "feed-forward out": ("feed_forward.output_dense", (WIDTH, 4 * WIDTH)),
}
REST_BYTES = 37_800_448


def example_record(
    depth: int = 12, steps: int = 1200, source: str = "facebook/wav2vec2-base-100h"
) -> RunRecord:
    layers = tuple(layer_row(number, matrix) for number in range(depth) for matrix in MATRICES)
    weights = sum(row.shape[0] * row.shape[1] for row in layers)
    stored = sum(row.bytes for row in layers)
    nominal = sum(row.shape[0] * row.shape[1] * row.bits for row in layers) / weights
    full = {"bytes": 4 * weights + REST_BYTES, "nominal_bits": 32.0, "effective_bits": 32.0}
    return RunRecord(
        version="0.1.0",
        created="2025-11-21T09:14:03+00:00",
        command=(
            f"sottovoce compress {source} runs/base-4bit --bits 4 --train librispeech/train.jsonl "
            "--dev librispeech/dev.jsonl --test librispeech/test.jsonl --method joint --seed 1"
        ),
        source=source,
        evaluated_on="LibriSpeech test-clean",
        device="NVIDIA H100, bf16",
        seconds=13_324.0,
        recipe={
            "method": "joint",
            "bits": 4.0,
            "candidates": (2, 4, 8),
            "grid": "symmetric",
            "learning_rate": 3e-5,
            "batch_seconds": 101.0,
            "teacher": None,
            "freeze_front_end": True,
            "search": {"temperature_start": 1.0, "temperature_end": 0.03, "share": "linear"},
            "seed": 1,
        },
        systems=(
            system("input checkpoint", errors=(2301, 412, 383), **full),
            system("full precision, fine-tuned", errors=(2244, 398, 371), **full),
            System(
                **(
                    vars(system("compressed", errors=(2270, 409, 377), **full))
                    | {
                        "bytes": stored + REST_BYTES,
                        "nominal_bits": nominal,
                        "effective_bits": 8 * stored / weights,
                    }
                )
            ),
        ),
        comparisons=(
            Comparison(
                "input checkpoint", "MAPSSWE", 2210, -1.32, 0.187, 0.031, "lossless",
                "Lossless: no significant change in word errors (p = 0.187), and a loss of 3.1% "
                "would have been found.",
            ),
            Comparison(
                "full precision, fine-tuned", "MAPSSWE", 2184, 1.54, 0.124, 0.034, "lossless",
                "Lossless: no significant change in word errors (p = 0.124), and a loss of 3.4% "
                "would have been found.",
            ),
        ),
        layers=layers,
        history=history(steps),
        got_worse=got_worse(),
        notes=("The dev set shares no speaker with the training data.",),
    )  # fmt: skip


def layer_row(depth: int, matrix: str) -> LayerRow:
    name, shape = MATRICES[matrix]
    place = (3 * depth + 5 * list(MATRICES).index(matrix)) % 7
    bits = 8 if depth == 0 and place % 2 == 0 else (4, 2, 4, 4, 8, 3, 4)[place]
    precision = Precision(bits)
    return LayerRow(
        layer=f"wav2vec2.encoder.layers.{depth}.{name}",
        depth=depth,
        matrix=matrix,
        shape=shape,
        bits=bits,
        grid=precision.grid,
        granularity=precision.granularity,
        bytes=precision.stored_bytes(shape),
    )


def system(name: str, errors: tuple[int, int, int], **size: float) -> System:
    words = 52_576
    wer = sum(errors) / words
    return System(
        name=name,
        **size,
        wer=wer,
        low=wer - 0.0041,
        high=wer + 0.0044,
        resampled_by="speaker",
        substitutions=errors[0],
        deletions=errors[1],
        insertions=errors[2],
        words=words,
    )


def history(steps: int) -> tuple[TrainingPoint, ...]:
    freeze = int(0.7 * steps)
    return tuple(
        TrainingPoint(
            step=step,
            loss=0.9 * math.exp(-4 * step / steps) + 0.31 + 0.05 * math.sin(step * 1.7),
            learning_rate=3e-5 * (1 - step / steps),
            seconds=11.1 * step,
            temperature=0.03 ** (step / freeze) if step < freeze else None,
            expected_bits=4 + 3.6 * math.exp(-6 * step / steps) if step < freeze else None,
            hard_bits=max(4.0, round(8 - 9 * step / freeze, 1)) if step % 10 == 0 else None,
            wer=0.058 + 0.09 * math.exp(-7 * step / steps) if step % 100 == 0 else None,
        )
        for step in range(10, steps + 1, 10)
    )


def got_worse() -> tuple[Change, ...]:
    stew = words("he hoped there would be stew for dinner turnips and carrots and bruised potatoes")
    before = (*stew[:4], ("be", "bee"), *stew[5:])
    after = (
        *stew[:2],
        ("there", "their"),
        *stew[3:5],
        ("stew", None),
        *stew[6:9],
        (None, "and"),
        *stew[9:12],
        ("bruised", "brews"),
        (None, "and"),
        *stew[13:],
    )
    stuff = words("stuff it into you his belly counselled him")
    misspelt = (*stuff[:6], ("counselled", "counseled"), stuff[7])
    return (
        Change("1089-134686-0000", "1089", 1, 5, before, after),
        Change("121-121726-0003", "121", 0, 1, stuff, misspelt),
    )


def words(sentence: str) -> tuple[tuple[str, str], ...]:
    """The alignment of a sentence to itself."""
    return tuple((word, word) for word in sentence.split())


def with_verdict(record: RunRecord, *verdicts: str) -> RunRecord:
    comparisons = zip(record.comparisons, verdicts, strict=True)
    return replace(record, comparisons=tuple(replace(c, verdict=v) for c, v in comparisons))
