"""Real speech: the reference recogniser on `commands`, compressed to 4, 3.5, 3 and 2.5 bits.

    python benchmarks/commands.py            # the main table: U1, then joint learning at each size
    python benchmarks/commands.py --plans    # is the plan worth learning? against other plans

Every row is a whole run, kept in `benchmarks/results/commands.json`; an interrupted benchmark goes
on with the next row, and an unfinished training where it stopped. Trained models stay in `runs/`.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rows import RESULTS, Row, row_of

from sottovoce.models.checkpoint import load, load_checkpoint
from sottovoce.pipelines.full_precision import finetune
from sottovoce.pipelines.joint import compress
from sottovoce.plan import Plan
from sottovoce.quantizers.ranges import initial_affine, rounding_error
from sottovoce.recipe import Recipe, Training, read_recipe
from sottovoce.report.record import RunRecord
from sottovoce.search.allocation import best_choice
from sottovoce.speech.batching import evaluation_order
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.loading import prefetched
from sottovoce.training.losses import kl_divergence
from sottovoce.training.run import unfinished

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
CHECKPOINT = SHARED / "models" / "commands-wav2vec2"
TRAIN = SHARED / "data" / "commands" / "train.jsonl"
DEV = SHARED / "data" / "commands" / "dev.jsonl"
RUNS = ROOT / "runs" / "commands"
ROWS = RESULTS / "commands.json"

COMMON = {"learning_rate": 2e-4, "evaluations": 3}
MAIN_STEPS = 600
SIZES = (4.0, 3.5, 3.0, 2.5)
WHOLE = (2.5, 2.25)  # also with all that is no encoder matrix at 8 bits
MORE_SEEDS = {4.0: (1,)}  # how much the luck of a run is
PLAN_STEPS = 100
PLAN_BITS = 3.0
PLAN_DIALS = {"steps": PLAN_STEPS, "bits": PLAN_BITS, "kl_frozen": 1.0, "search_share": 0.5}
SEEDS = (0, 1, 2)
RANDOM_PLANS = 5

console = Console()


def main() -> None:
    """Measure the rows that are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plans", action="store_true", help="compare plans instead of sizes")
    parser.add_argument("--bits", type=float, nargs="+", default=SIZES, help="only these sizes")
    given = parser.parse_args()
    if given.plans:
        compare_plans()
    else:
        compare_sizes(given.bits)


def compare_sizes(sizes: Sequence[float]) -> None:
    """U1, then joint learning at every size, all with the same updates; one size once more."""
    u1 = RUNS / "u1"
    plain = Training().replaced({**COMMON, "steps": MAIN_STEPS})
    row_of(ROWS, _key("sizes", "U1", plain), lambda: _u1(u1, plain))
    for bits in sizes:
        recipe = read_recipe("default").replaced({**COMMON, "steps": MAIN_STEPS, "bits": bits})
        key = _key("sizes", f"joint {bits:g}", recipe)
        row_of(ROWS, key, _compressing(f"joint-{bits:g}", recipe, baseline=u1))
        for seed in MORE_SEEDS.get(bits, ()):
            again = recipe.replaced({"seed": seed})
            key = _key("seeds", f"joint {bits:g}, seed {seed}", again)
            row_of(ROWS, key, _compressing(f"joint-{bits:g}-seed-{seed}", again, baseline=u1))
    for bits in WHOLE:
        dials = {**COMMON, "steps": MAIN_STEPS, "bits": bits, "cnn_bits": 8}
        recipe = read_recipe("default").replaced(dials)
        key = _key("sizes", f"joint {bits:g}, 8-bit CNNs", recipe)
        row_of(ROWS, key, _compressing(f"joint-{bits:g}-cnn-8", recipe, baseline=u1))


def compare_plans() -> None:
    """The learnt plan against random ones and the one of least squared weight error.

    A strong pull to the teacher throughout (kl_frozen = 1) keeps the plans' differences from being
    those of fine-tuning.

    Every plan is trained alone, from the start point, with the same updates and data; the joint
    runs that learnt the plans stand beside them, three seeds for the rank correlation.
    """
    base = read_recipe("default").replaced({**COMMON, **PLAN_DIALS})
    learnt = []
    for seed in SEEDS:
        recipe = base.replaced({"seed": seed})
        row = _plan_row(f"joint, seed {seed}", f"plans-joint-{seed}", recipe)
        learnt.append(row["plan"])
    plans = {f"learnt, seed {seed}": plan for seed, plan in zip(SEEDS[:1], learnt, strict=False)}
    plans |= {f"random {k + 1}": random_plan(base, k) for k in range(RANDOM_PLANS)}
    plans["least squared weight error"] = least_squares_plan(base)
    for name, bits in plans.items():
        folder = "plans-" + name.replace(", ", "-").replace(" ", "-")
        _plan_row(f"fixed: {name}", folder, base, _plan_of(base, bits))


def _plan_row(name: str, folder: str, recipe: Recipe, plan: Plan | None = None) -> Row:
    return row_of(ROWS, _key("plans", name, recipe), _compressing(folder, recipe, plan=plan))


def _key(table: str, system: str, recipe: Training) -> dict[str, Any]:
    """Another recipe is another row; a changed default is measured anew."""
    return {"table": table, "system": system, "recipe": recipe.to_record()}


def _u1(out: Path, recipe: Training) -> Mapping[str, Any]:
    if not out.exists():  # else: finished, and its row was lost
        finetune(
            CHECKPOINT, TRAIN, DEV, out, recipe, resume=unfinished(out).exists(), console=console
        )
    facts = json.loads((out / "metrics.json").read_text())
    _refuse_another(out, facts["recipe"], recipe)
    system = facts["system"]
    return {
        "wer": system["wer"],
        "interval": [system["low"], system["high"]],
        "bytes": system["bytes"],
        "words": system["words"],
        **_cpu_minutes(facts["history"][-1]["cpu_seconds"]),
    }


def _compressing(
    folder: str, recipe: Recipe, baseline: Path | None = None, plan: Plan | None = None
) -> Callable[[], Mapping[str, Any]]:
    def measure() -> Mapping[str, Any]:
        out = RUNS / folder
        console.rule(folder)
        if not out.exists():  # else: finished, and its row was lost
            compress(
                CHECKPOINT,
                TRAIN,
                DEV,
                out,
                recipe,
                baseline=baseline,
                plan=plan,
                cache=RUNS / "shared",
                resume=unfinished(out).exists(),
                console=console,
            )
        record = RunRecord.from_json(json.loads((out / "metrics.json").read_text()))
        _refuse_another(out, record.recipe, recipe)
        return {**_facts(record), "kl": _dev_kl(out)}

    return measure


def _refuse_another(out: Path, found: Mapping[str, Any], recipe: Training) -> None:
    if found != json.loads(json.dumps(recipe.to_record())):
        raise SystemExit(f"{out} was trained with another recipe; delete it")


def _facts(record: RunRecord) -> Mapping[str, Any]:
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
        **_cpu_minutes(record.training_cpu_seconds),
    }


def _cpu_minutes(seconds: float | None) -> Mapping[str, float]:
    """Of training, over all interruptions; nothing where another device trained."""
    return {} if seconds is None else {"cpu_minutes": seconds / 60}


@torch.inference_mode()
def _dev_kl(folder: Path) -> float:
    """KL(input checkpoint || compressed) on the dev speech, nats a frame."""
    teacher, student = load_checkpoint(CHECKPOINT), load(folder)
    batches = evaluation_order(read_corpus(DEV).utterances, 60.0)
    total = frames = 0.0
    for batch in prefetched(iter(batches), teacher.sampling_rate):
        features = teacher.features([waveform for _, waveform in batch])
        count = float(features.frames.sum())
        divergence = kl_divergence(
            teacher.logits(features), student.logits(features), features.frame_mask
        )
        total, frames = total + divergence.item() * count, frames + count
    return total / frames


def layer_sizes() -> dict[str, int]:
    """Weights of each encoder matrix of the reference recogniser."""
    recogniser = load_checkpoint(CHECKPOINT)
    shapes = recogniser.family.shapes(recogniser.model)
    return {name: rows * columns for name, (rows, columns) in shapes.items()}


def random_plan(recipe: Recipe, seed: int) -> tuple[float, ...]:
    """A plan within the budget of the plan study, whatever the layers hold."""
    sizes = list(layer_sizes().values())
    scores = np.random.default_rng(seed).standard_normal((len(sizes), len(recipe.widths)))
    return best_choice(scores, sizes, recipe.widths, PLAN_BITS).bits


def least_squares_plan(recipe: Recipe) -> tuple[float, ...]:
    """The plan within the budget whose rounded weights are nearest to the start point's."""
    recogniser, scores = load_checkpoint(CHECKPOINT), []
    for matrix in recogniser.family.encoder_matrices(recogniser.model):
        weight = recogniser.model.get_submodule(matrix.name).weight.detach()
        errors = []
        for precision in recipe.precisions.values():
            quantizer = precision.quantizer
            affine = initial_affine(weight, quantizer, "mse")
            errors.append(rounding_error(weight, quantizer, affine, "mse").sum().item())
        scores.append([-error for error in errors])
    sizes = list(layer_sizes().values())
    return best_choice(np.array(scores), sizes, recipe.widths, PLAN_BITS).bits


def _plan_of(recipe: Recipe, bits: tuple[int, ...] | list[int]) -> Plan:
    precisions = [recipe.precisions[width] for width in bits]
    return Plan(dict(zip(layer_sizes(), precisions, strict=True)))


if __name__ == "__main__":
    main()
