"""Is post-training mixed precision a good start for Pass 1? Its plan, and its weights too.

    python -m benchmarks.ptq_start.run

The reference recogniser at 3 bits, default recipe, the same updates and data: with the plan that is
learnt in them; with the plan that `quantize --method mixed` chooses without training; and with that
plan from its rounded weights. Rows are kept in `benchmarks/results/ptq_start.json`; an interrupted
benchmark goes on where it stopped.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.calibration import calibration_manifest
from benchmarks.compressing import COMMON, MODELS, console
from benchmarks.inputs import Inputs, Needs, parser_of, run
from benchmarks.rows import RESULTS, row_of
from sottovoce.artifact.packed_model import packed_layers
from sottovoce.commands.compress import compress
from sottovoce.commands.quantize import quantize
from sottovoce.config.post_training import PostTraining
from sottovoce.config.recipe import read_recipe
from sottovoce.loading import load, load_checkpoint
from sottovoce.quantization.plan import Plan
from sottovoce.record import RunRecord
from sottovoce.training.run import unfinished

NEEDS = Needs(hours=0.5, data=True)
ROWS = RESULTS / "ptq_start.json"
FOLDER = MODELS / "ptq-start"
BITS = 3.0
RECIPE = read_recipe("default").replaced({**COMMON, "bits": BITS, "steps": 100, "evaluations": 1})


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows that are missing."""
    measure(Inputs.at(parser_of(__doc__, NEEDS).parse_args(arguments).data))


def measure(inputs: Inputs) -> None:
    """Train from every start."""
    quantized = FOLDER / "quantized"
    if not quantized.exists():
        settings = PostTraining(
            method="mixed", bits=BITS, candidates=tuple(map(str, RECIPE.candidates))
        )
        calibration = calibration_manifest(inputs, FOLDER)
        quantize(
            *(inputs.checkpoint, calibration, quantized, settings),
            evaluate_on=inputs.dev,
            console=console,
        )
    layers, names = packed_layers(load(quantized).model), encoder_matrices(inputs)
    plan = Plan({name: layers[name].precision for name in names})
    rounded = FOLDER / "rounded"
    if not rounded.exists():
        save_rounded(inputs, {name: layers[name].weight for name in names}, rounded)
    systems = {
        "plan learnt with the weights": ("learnt", inputs.checkpoint, None),
        "post-training plan": ("plan", inputs.checkpoint, plan),
        "post-training plan and weights": ("weights", rounded, plan),
    }
    for name, system in systems.items():
        key = {"system": name, "recipe": RECIPE.to_record()}
        console.print(row_of(ROWS, key, partial(_trained, inputs, *system)))


def encoder_matrices(inputs: Inputs) -> list[str]:
    """Names of the matrices that a plan is about."""
    recogniser = load_checkpoint(inputs.checkpoint)
    return [one.name for one in recogniser.family.encoder_matrices(recogniser.model)]


def save_rounded(inputs: Inputs, weights: Mapping[str, torch.Tensor], folder: Path) -> None:
    """Write the checkpoint with these weights in place of its own."""
    recogniser = load_checkpoint(inputs.checkpoint)
    for name, weight in weights.items():
        recogniser.model.get_submodule(name).weight.data.copy_(weight)
    recogniser.model.save_pretrained(folder)
    recogniser.processor.save_pretrained(folder)


def _trained(inputs: Inputs, folder: str, source: Path, plan: Plan | None) -> Mapping[str, Any]:
    """What came of training a system."""
    out = FOLDER / folder
    if not out.exists():
        console.rule(out.name)
        compress(
            *(source, inputs.train, inputs.dev, out, RECIPE),
            baseline=inputs.checkpoint,
            plan=plan,
            cache=FOLDER / "shared",
            resume=unfinished(out).exists(),
            console=console,
        )
    record = RunRecord.from_json(json.loads((out / "metrics.json").read_text()))
    before, after = record.systems[0], record.systems[-1]
    against = record.comparisons[-1]
    return {
        "start_wer": before.wer,
        "wer": after.wer,
        "nominal_bits": after.nominal_bits,
        "verdict": against.verdict,
        "p": against.p,
        "detectable": against.detectable,
        "cpu_seconds": record.training_cpu_seconds,
    }


if __name__ == "__main__":
    run(main)
