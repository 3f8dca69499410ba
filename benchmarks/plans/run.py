"""Is the plan worth learning? Learnt plans against others, each trained alone.

    python -m benchmarks.plans.run

Every plan is trained from the start point, with the same updates and data; the joint runs that
learnt the plans stand beside them, three seeds for the rank correlation. A strong pull to the
teacher throughout (`kl_frozen = 1`) keeps the plans' differences from being those of fine-tuning.
Rows are kept in `benchmarks/results/plans.json`, trained models in `runs/commands`.
"""

from collections.abc import Sequence
from functools import partial

from benchmarks.compressing import COMMON, compressed, key_of
from benchmarks.inputs import Inputs, Needs, parser_of, run
from benchmarks.plans.made import BITS, least_squares_plan, plan_of, random_plan
from benchmarks.rows import RESULTS, Row, row_of
from sottovoce.config.recipe import Recipe, read_recipe
from sottovoce.quantization.plan import Plan

NEEDS = Needs(hours=1, data=True)
ROWS = RESULTS / "plans.json"
DIALS = {"steps": 100, "bits": BITS, "kl_frozen": 1.0, "search_share": 0.5}
SEEDS = (0, 1, 2)
RANDOM_PLANS = 5


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows that are missing."""
    measure(Inputs.at(parser_of(__doc__, NEEDS).parse_args(arguments).data))


def measure(inputs: Inputs) -> None:
    """The learnt plan against random ones and the one of least squared weight error."""
    base = read_recipe("default").replaced({**COMMON, **DIALS})
    learnt = []
    for seed in SEEDS:
        recipe = base.replaced({"seed": seed})
        row = _row(inputs, f"joint, seed {seed}", f"plans-joint-{seed}", recipe)
        learnt.append(row["plan"])
    plans = {f"learnt, seed {seed}": plan for seed, plan in zip(SEEDS[:1], learnt, strict=False)}
    plans |= {
        f"random {k + 1}": random_plan(inputs.checkpoint, base, k) for k in range(RANDOM_PLANS)
    }
    plans["least squared weight error"] = least_squares_plan(inputs.checkpoint, base)
    for name, bits in plans.items():
        folder = "plans-" + name.replace(", ", "-").replace(" ", "-")
        _row(inputs, f"fixed: {name}", folder, base, plan_of(inputs.checkpoint, base, bits))


def _row(inputs: Inputs, name: str, folder: str, recipe: Recipe, plan: Plan | None = None) -> Row:
    measure_row = partial(compressed, inputs, folder, recipe, plan=plan)
    return row_of(ROWS, key_of("plans", name, recipe), measure_row)


if __name__ == "__main__":
    run(main)
