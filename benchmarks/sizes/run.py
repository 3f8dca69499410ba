"""Real speech: the reference recogniser compressed to 4, 3.5, 3 and 2.5 bits.

    python -m benchmarks.sizes.run

Full-precision fine-tuning, then joint learning at each size with as many updates. Every row is a
whole run, kept in `benchmarks/results/sizes.json`; an interrupted benchmark goes on with the next
row, and an unfinished training where it stopped. Trained models stay in `runs/commands`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.compressing import (
    COMMON,
    MODELS,
    compressed,
    console,
    cpu_minutes,
    key_of,
    refuse_another,
)
from benchmarks.inputs import Inputs, Needs, parser_of, run
from benchmarks.rows import RESULTS, row_of
from sottovoce.commands.finetune import finetune
from sottovoce.config.recipe import Recipe, Training, read_recipe
from sottovoce.training.run import unfinished

NEEDS = Needs(hours=3, data=True)
ROWS = RESULTS / "sizes.json"
STEPS = 600
SIZES = (4.0, 3.5, 3.0, 2.5)
WHOLE = (2.5, 2.25)  # also with all that is no encoder matrix at 8 bits
MORE_SEEDS = {4.0: (1,)}  # how much the luck of a run is


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows that are missing."""
    parser = parser_of(__doc__, NEEDS)
    parser.add_argument("--bits", type=float, nargs="+", default=SIZES, help="only these sizes")
    given = parser.parse_args(arguments)
    measure(Inputs.at(given.data), given.bits)


def measure(inputs: Inputs, sizes: Sequence[float]) -> None:
    """U1, then joint learning at every size, all with the same updates; one size once more."""
    u1 = MODELS / "u1"
    plain = Training().replaced({**COMMON, "steps": STEPS})
    row_of(ROWS, key_of("sizes", "U1", plain), partial(_finetuned, inputs, u1, plain))

    def compressing(folder: str, recipe: Recipe) -> Callable[[], Mapping[str, Any]]:
        return partial(compressed, inputs, folder, recipe, baseline=u1)

    for bits in sizes:
        recipe = read_recipe("default").replaced({**COMMON, "steps": STEPS, "bits": bits})
        key = key_of("sizes", f"joint {bits:g}", recipe)
        row_of(ROWS, key, compressing(f"joint-{bits:g}", recipe))
        for seed in MORE_SEEDS.get(bits, ()):
            again = recipe.replaced({"seed": seed})
            key = key_of("seeds", f"joint {bits:g}, seed {seed}", again)
            row_of(ROWS, key, compressing(f"joint-{bits:g}-seed-{seed}", again))
    for bits in WHOLE:
        options = {**COMMON, "steps": STEPS, "bits": bits, "cnn_bits": 8}
        recipe = read_recipe("default").replaced(options)
        key = key_of("sizes", f"joint {bits:g}, 8-bit CNNs", recipe)
        row_of(ROWS, key, compressing(f"joint-{bits:g}-cnn-8", recipe))


def _finetuned(inputs: Inputs, out: Path, recipe: Training) -> Mapping[str, Any]:
    if not out.exists():  # else: finished, and its row was lost
        finetune(
            inputs.checkpoint,
            inputs.train,
            inputs.dev,
            out,
            recipe,
            resume=unfinished(out).exists(),
            console=console,
        )
    facts = json.loads((out / "metrics.json").read_text())
    refuse_another(out, facts["recipe"], recipe)
    system = facts["system"]
    return {
        "wer": system["wer"],
        "interval": [system["low"], system["high"]],
        "bytes": system["bytes"],
        "words": system["words"],
        **cpu_minutes(facts["history"][-1]["cpu_seconds"]),
    }


if __name__ == "__main__":
    run(main)
