"""StableQuant as published (arXiv 2504.14915) and our adaptive method, one row an artifact.

    python -m benchmarks.stablequant.run

Each row is one folder that `sottovoce quantize` wrote: its bytes, its error rate on the dev speech
and the test against the checkpoint, and the real-time factor of that same folder in the fastest of
the runtimes that are installed, beside the checkpoint's in its fastest. The runtimes recognise the
dev speech in turn, one thread, and the median of the rounds counts. All of the training speech may
calibrate; quantizing takes its own sample, with transcripts.

Rows are kept in `benchmarks/results/stablequant.json`; it wants the machine to itself.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.compressing import MODELS, console
from benchmarks.inputs import Inputs, Needs, parser_of, run
from benchmarks.peers.run import Against
from benchmarks.rows import RESULTS, row_of
from sottovoce.artifact.packed_model import packed_layers
from sottovoce.commands.quantize import quantize
from sottovoce.commands.scored_systems import evaluate_recogniser
from sottovoce.config.post_training import PostTraining
from sottovoce.loading import load
from sottovoce.runtime.engines import RUNTIMES, engine_of
from sottovoce.runtime.recognition import recognise
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.sampling import sample

NEEDS = Needs(hours=0.5, data=True)
ROWS = RESULTS / "stablequant.json"
METHODS = ("adaptive", "stablequant")
_ROUNDS = 5
_MINUTES = 3.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows that are missing."""
    inputs = Inputs.at(parser_of(__doc__, NEEDS).parse_args(arguments).data)
    torch.set_num_threads(1)
    against_input = Against(inputs)
    for method in METHODS:
        console.rule(method)
        measure = partial(measured, inputs, against_input, method)
        console.print(row_of(ROWS, {"system": f"sottovoce {method}"}, measure))


def measured(inputs: Inputs, against_input: Against, method: str) -> Mapping[str, Any]:
    """One artifact: size, words and speed of the same folder."""
    out, minutes = MODELS / f"sq-{method}", None
    if not out.exists():
        begun = time.process_time()
        settings = PostTraining(method=method)
        quantize(
            inputs.checkpoint,
            inputs.train,
            out,
            settings,
            evaluate_on=inputs.dev,
            resume=True,
            console=console,
        )
        minutes = (time.process_time() - begun) / 60
    recogniser, corpus = load(out), read_corpus(inputs.dev)
    stored = (out / "model.safetensors").stat().st_size
    float_inputs = [
        name
        for name, layer in packed_layers(recogniser.model).items()
        if not layer.precision.input_bits
    ]
    row = against_input(lambda: evaluate_recogniser(recogniser, corpus, "ours", console), stored)
    return {
        **row,
        "cpu_minutes": minutes,
        "float_inputs": float_inputs,
        **fastest(inputs, inputs.checkpoint, out),
    }


def fastest(inputs: Inputs, checkpoint: Path, out: Path) -> Mapping[str, Any]:
    """Runtime and real-time factor of the folder and of the checkpoint, and their ratio."""
    speech = sample(read_corpus(inputs.dev), _MINUTES)
    installed = ["torch", *(name for name, one in RUNTIMES.items() if one.is_installed)]
    engines = {
        (model.name, name): engine_of(model, name)
        for model in (checkpoint, out)
        for name in installed
        if not name.endswith("bf16")
    }
    factors: dict[tuple[str, str], list[float]] = {key: [] for key in engines}
    for _ in range(_ROUNDS):  # in turn, so that a busy moment meets all of them
        for key, engine in engines.items():
            factors[key].append(recognise(engine, speech).real_time_factor)
    medians = {key: statistics.median(found) for key, found in factors.items()}
    ours, full = (
        min((key for key in medians if key[0] == model.name), key=medians.__getitem__)
        for model in (out, checkpoint)
    )
    return {
        "runtime": ours[1],
        "real_time_factor": medians[ours],
        "full_precision_runtime": full[1],
        "full_precision_real_time_factor": medians[full],
        "times_as_fast": medians[full] / medians[ours],
    }


if __name__ == "__main__":
    run(main)
