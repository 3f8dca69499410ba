"""How low each method goes and loses nothing: rows of tables against their start and against U1.

    sottovoce reproduce benchmarks/main-rows.toml ... --out runs/main-rows  # see RESULTS.md
    sottovoce reproduce benchmarks/low-bits.toml ... --out runs/low-conformer
    sottovoce reproduce benchmarks/low-bits-seeds.toml ... --out runs/low-conformer-seeds
    python benchmarks/losses.py

Rows that are finished are kept in `benchmarks/results/losses.json`.
"""

from functools import partial

from claims import (
    ALL_SEEDS,
    MAIN,
    MAIN_HUBERT,
    MAIN_WAVLM,
    RATES,
    SEEDS,
    compared,
    compared_over_seeds,
    finished,
)
from commands import ROOT
from rich.console import Console
from rows import RESULTS, row_of

from sottovoce.reproduction.table import INPUT

ROWS = RESULTS / "losses.json"
RECIPE_ROWS = RESULTS / "recipe_losses.json"
BASELINE = "U1"
AGAINST = (INPUT, BASELINE)
_LOW = ("2A-64", "2A-64-max", "4S-channel", "joint-2.5", "joint-2.25", "joint-2", "joint-1.8")
_OF_FAMILY = (
    "uniform-3",
    "two-stage-3",
    "paper-3",
    "default-3",
    "default-2.5",
    "default-2.5-cnn-8",
    "low-2.5-cnn-8",
    "low-2.5-cnn-8-kl",
)
TRIED = {
    MAIN: (
        *("uniform-4", "uniform-2", "paper-4", "paper-3.5", "paper-2.5"),
        *("default-4", "default-3.5", "default-2.5", "default-2.4-cnn-8", "default-2.25-cnn-8"),
        *(
            f"{row}{seed}"
            for row in ("uniform-3", "paper-3", "two-stage-3", "default-3", "default-2.5-cnn-8")
            for seed in SEEDS
        ),
    ),
    RATES: (
        *(f"default-3-four-widths{rate}{seed}" for rate in ("", "-rate-5e-5") for seed in SEEDS),
        *(f"uniform-3-rate-5e-5{seed}" for seed in ALL_SEEDS),
    ),
    MAIN_HUBERT: _OF_FAMILY,
    MAIN_WAVLM: _OF_FAMILY,
    "low-wav2vec2": _LOW,
    "low-conformer": _LOW,
}
"""Folder in `runs` -> its rows in question."""

RECIPES = (("low-conformer-seeds", "2A-64"),)
"""Folders in `runs`, and rows that are there with every seed: recipes, not single runs."""

console = Console()


def main() -> None:
    """Test the rows that are finished and not yet tested."""
    for table, names in TRIED.items():
        folder = ROOT / "runs" / table
        rows = finished(folder)
        for pair in [(name, against) for name in names for against in AGAINST]:
            if set(pair) <= rows.keys():
                key = {"table": table, "pair": pair}
                console.print(row_of(ROWS, key, partial(compared, folder, rows, pair)))
    for table, name in RECIPES:
        folder, seeds = ROOT / "runs" / table, [f"{name}{seed}" for seed in SEEDS]
        rows = finished(folder)
        for against in AGAINST:
            if {against, *seeds} <= rows.keys():
                key = {"table": table, "pair": (name, against)}
                measure = partial(compared_over_seeds, folder, seeds, [against])
                console.print(row_of(RECIPE_ROWS, key, measure))


if __name__ == "__main__":
    main()
