"""Rows that are whole compressions of the reference recogniser, kept in `runs/commands`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.inputs import RUNS, Inputs
from sottovoce.commands.compress import compress
from sottovoce.config.recipe import Recipe, Training
from sottovoce.loading import load, load_checkpoint
from sottovoce.quantization.plan import Plan
from sottovoce.record import RunRecord
from sottovoce.speech.batching import evaluation_order
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.loading import prefetched
from sottovoce.training.losses import kl_divergence
from sottovoce.training.run import unfinished

MODELS = RUNS / "commands"
COMMON = {"learning_rate": 2e-4, "evaluations": 3}
"""Options that all rows have."""

console = Console()


def key_of(table: str, system: str, recipe: Training) -> dict[str, Any]:
    """Another recipe is another row; a changed default is measured anew."""
    return {"table": table, "system": system, "recipe": recipe.to_record()}


def compressed(
    inputs: Inputs,
    folder: str,
    recipe: Recipe,
    *,
    baseline: Path | None = None,
    plan: Plan | None = None,
) -> Mapping[str, Any]:
    """What a compression gives; an unfinished one goes on, a finished one is read."""
    out = MODELS / folder
    console.rule(folder)
    if not out.exists():  # else: finished, and its row was lost
        compress(
            inputs.checkpoint,
            inputs.train,
            inputs.dev,
            out,
            recipe,
            baseline=baseline,
            plan=plan,
            cache=MODELS / "shared",
            resume=unfinished(out).exists(),
            console=console,
        )
    record = RunRecord.from_json(json.loads((out / "metrics.json").read_text()))
    refuse_another(out, record.recipe, recipe)
    return {**facts_of(record), "kl": _dev_kl(inputs, out)}


def refuse_another(out: Path, found: Mapping[str, Any], recipe: Training) -> None:
    """Stop where a folder was trained with another recipe."""
    if found != json.loads(json.dumps(recipe.to_record())):
        raise SystemExit(f"{out} was trained with another recipe; delete it")


def facts_of(record: RunRecord) -> Mapping[str, Any]:
    """A row's figures."""
    before, after = record.systems[0], record.systems[-1]
    return {
        "wer": after.wer,
        "interval": [after.low, after.high],
        "input_wer": before.wer,
        "verdicts": {
            one.baseline: {
                "verdict": one.verdict,
                "p": one.p,
                "detectable": one.detectable,
                "sentence": one.sentence,
            }
            for one in record.comparisons
        },
        "nominal_bits": after.nominal_bits,
        "effective_bits": after.effective_bits,
        "bytes": after.bytes,
        "ratio": before.bytes / after.bytes,
        "plan": [row.bits for row in record.layers],
        "preference": [row.expected_bits for row in record.layers],
        "recipe": record.recipe,
        **cpu_minutes(record.training_cpu_seconds),
    }


def cpu_minutes(seconds: float | None) -> Mapping[str, float]:
    """Of training, over all interruptions; nothing where another device trained."""
    return {} if seconds is None else {"cpu_minutes": seconds / 60}


@torch.inference_mode()
def _dev_kl(inputs: Inputs, folder: Path) -> float:
    """KL(input checkpoint || compressed) on the dev speech, nats a frame."""
    teacher, student = load_checkpoint(inputs.checkpoint), load(folder)
    batches = evaluation_order(read_corpus(inputs.dev).utterances, 60.0)
    total = frames = 0.0
    for batch in prefetched(iter(batches), teacher.sampling_rate):
        features = teacher.features([waveform for _, waveform in batch])
        count = float(features.frames.sum())
        divergence = kl_divergence(
            teacher.logits(features), student.logits(features), features.frame_mask
        )
        total, frames = total + divergence.item() * count, frames + count
    return total / frames
