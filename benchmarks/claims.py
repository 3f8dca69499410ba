"""What the papers claim, and what we claim against them: pairs of rows of tables, tested on dev.

    sottovoce reproduce I ... --out runs/table-1       # as benchmarks/RESULTS.md has it
    sottovoce reproduce P2 ... --out runs/table-p2
    sottovoce reproduce benchmarks/main-rows.toml ... --out runs/main-rows
    python benchmarks/claims.py

Pairs whose rows are finished are kept in `benchmarks/results/claims.json`.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from statistics import NormalDist, fmean
from typing import Any

import numpy as np
from commands import ROOT
from rich.console import Console
from rows import RESULTS, row_of

from sottovoce.pipelines.comparing import compare_systems
from sottovoce.scoring import Transcripts, score
from sottovoce.scoring.comparison import two_sided
from sottovoce.scoring.mapsswe import deviations_away

ROWS = RESULTS / "claims.json"
RECIPE_ROWS = RESULTS / "recipe_claims.json"
TABLE_1, MAIN, TABLE_P2 = "table-1", "main-rows", "table-p2"
MAIN_HUBERT, MAIN_WAVLM, RATES, LONGER = "main-hubert", "main-wavlm", "rates", "longer"
SEEDS = ("", "-seed-1", "-seed-2")  # in the names of the main rows
MORE_SEEDS = ("-seed-3", "-seed-4", "-seed-5")  # in those of the rates, asked for later
ALL_SEEDS = SEEDS + MORE_SEEDS
ALPHA, TOLERATED = 0.05, 0.10  # of the verdicts
SHARED_BY = ("channel", "128", "64", "32")  # what has a scale of its own, in P2's rows

console = Console()


@dataclass(frozen=True)
class Claim:
    """That in every pair of rows the first is better than the second.

    Attributes:
        table: folder in `runs`.
        pairs: names of two rows each.
        timed: whether it is about training time too, which is known of both: the processor's, or
            they had the machine to themselves.
    """

    text: str
    table: str
    pairs: tuple[tuple[str, str], ...]
    timed: bool = False


def by_seed(text: str, first: str, second: str) -> Claim:
    """One about two of the main rows, at every seed."""
    pairs = tuple((f"{first}-3{seed}", f"{second}-3{seed}") for seed in SEEDS)
    return Claim(text, MAIN, pairs, timed=True)


def of_family(family: str, table: str) -> tuple[Claim, ...]:
    """About our recipe in the main rows of another family."""
    return tuple(
        Claim(f"{family}: default beats {method}", table, (("default-3", other),), timed=True)
        for method, other in (
            ("uniform", "uniform-3"),
            ("two-stage", "two-stage-3"),
            ("the paper's joint", "paper-3"),
        )
    )


CLAIMS = (
    by_seed("the paper's joint beats uniform", "paper", "uniform"),
    by_seed("the paper's joint beats two-stage", "paper", "two-stage"),
    by_seed("default beats uniform", "default", "uniform"),
    by_seed("default beats two-stage", "default", "two-stage"),
    by_seed("default beats the paper's joint", "default", "paper"),
    Claim("joint beats uniform at equal size", TABLE_1, (("O3", "U5"),)),
    Claim("joint beats two-stage at equal size", TABLE_1, (("O1", "M1"), ("O3", "M3")), timed=True),
    Claim("KL recovers Pass 1", TABLE_1, (("O2", "O1"), ("O4", "O3"))),
    Claim("Pass 2 recovers the rest", TABLE_1, (("N1", "O1"), ("N3", "O2"), ("N7", "O4"))),
    Claim("two passes beat two-stage, both with KL", TABLE_1, (("N3", "M2"), ("N7", "M4"))),
    Claim(
        "Pass 2 from Pass 1's weights beats Pass 2 from the start point",
        TABLE_1,
        (("F1", "N1"), ("F3", "N3"), ("F5", "N5"), ("F7", "N7")),
    ),
    Claim("KL in Pass 2 helps", TABLE_1, (("F2", "F1"), ("F4", "F3"), ("F6", "F5"), ("F8", "F7"))),
    Claim("Pass 2 beats full-precision fine-tuning", TABLE_1, (("N3", "U1"), ("N7", "U1"))),
    Claim(
        "default beats the paper's joint at other sizes",
        MAIN,
        tuple((f"default-{bits}", f"paper-{bits}") for bits in ("4", "3.5", "2.5")),
        timed=True,
    ),
    *(
        Claim(
            f"default beats {method} at other rates",
            RATES,
            tuple((f"default-3-rate-{rate}", f"{row}-3-rate-{rate}") for rate in ("1e-4", "5e-5")),
            timed=True,
        )
        for row, method in (("paper", "the paper's joint"), ("uniform", "uniform"))
    ),
    Claim(
        "KL recovers Pass 1, at 5e-5",
        RATES,
        (("paper-3-rate-5e-5", "paper-no-kl-3-rate-5e-5"),),
    ),
    Claim(
        "the paper's joint beats uniform at other rates",
        RATES,
        tuple((f"paper-3-rate-{rate}", f"uniform-3-rate-{rate}") for rate in ("1e-4", "5e-5")),
    ),
    Claim(
        "default beats the paper's joint, each at a rate that suits it",
        RATES,
        (
            ("default-3", "paper-3-rate-5e-5"),
            ("default-3", "paper-3-rate-2.5e-5"),
            ("default-2.5", "paper-2.5-rate-5e-5"),
            ("default-2.5", "paper-2.5-rate-2.5e-5"),
            ("default-4", "paper-4-rate-2.5e-5"),
            ("default-3.5", "paper-3.5-rate-2.5e-5"),
        ),
        timed=True,
    ),
    Claim(
        "default beats the paper's joint, three times the updates",
        LONGER,
        tuple(
            (f"default-3{seed}", f"paper-3-rate-{rate}")
            for rate in ("1e-4", "5e-5", "2.5e-5")
            for seed in SEEDS
        ),
        timed=True,
    ),
    Claim(
        "a 3-bit candidate helps default",
        RATES,
        tuple(
            (f"default-3-four-widths{suffix}", f"default-3{suffix}")
            for suffix in (*SEEDS, "-rate-5e-5")
        ),
        timed=True,
    ),
    *of_family("HuBERT", MAIN_HUBERT),
    *of_family("WavLM", MAIN_WAVLM),
    Claim(
        "clipping helps 2 bits",
        TABLE_P2,
        tuple((f"2{grid}-{by}-clip", f"2{grid}-{by}") for grid in "SA" for by in SHARED_BY),
    ),
    Claim(
        "an offset helps 2 bits",
        TABLE_P2,
        tuple(
            (f"2A-{by}{clipped}", f"2S-{by}{clipped}")
            for clipped in ("", "-clip")
            for by in SHARED_BY
        ),
    ),
    Claim(
        "smaller blocks help 2 bits",
        TABLE_P2,
        tuple(
            (f"2{grid}-{small}{clipped}", f"2{grid}-{large}{clipped}")
            for grid in "SA"
            for clipped in ("", "-clip")
            for large, small in pairwise(SHARED_BY)
        ),
    ),
    Claim("learning the ranges helps 2 bits", TABLE_P2, (("2A-64-clip-learnt", "2A-64-clip"),)),
)


RECIPE_CLAIMS = (
    *(
        Claim(f"{ours} beats {other}", RATES, ((first, second),))
        for ours, first in (
            ("default", "default-3"),
            ("default with a 3-bit candidate", "default-3-four-widths"),
        )
        for other, second in (
            ("the paper's joint at 2.5e-5", "paper-3-rate-2.5e-5"),
            ("uniform at 5e-5", "uniform-3-rate-5e-5"),
        )
    ),
    Claim(
        "default beats the paper's joint at 2.5e-5, 2.5 bits",
        RATES,
        (("default-2.5", "paper-2.5-rate-2.5e-5"),),
    ),
)
"""Of the means over some seeds; a pair is named by the rows of the first seed."""


def main() -> None:
    """Compare the pairs that are missing and whose rows are finished."""
    for recipes in RECIPE_CLAIMS:
        folder = ROOT / "runs" / recipes.table
        rows = finished(folder)
        for pair, chosen in product(recipes.pairs, (SEEDS, MORE_SEEDS, ALL_SEEDS)):
            seeds = [[f"{name}{seed}" for seed in chosen] for name in pair]
            if {*seeds[0], *seeds[1]} <= rows.keys():
                about = {"claim": recipes.text, "table": recipes.table, "pair": pair}
                measure = partial(compared_over_seeds, folder, *seeds)
                console.print(row_of(RECIPE_ROWS, {**about, "seeds": chosen}, measure))
    for claim in CLAIMS:
        folder = ROOT / "runs" / claim.table
        rows = finished(folder)
        for pair in claim.pairs:
            if set(pair) <= rows.keys():
                key = {"claim": claim.text, "table": claim.table, "pair": pair}
                console.print(row_of(ROWS, key, partial(compared, folder, rows, pair)))


def finished(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of a table by name."""
    file = folder / "table.json"
    rows = json.loads(file.read_text())["rows"] if file.exists() else []
    return {row["name"]: row for row in rows}


def compared(
    folder: Path, rows: dict[str, dict[str, Any]], pair: tuple[str, str]
) -> dict[str, Any]:
    """The first against the second, and what each took to train."""
    first, second = (transcript(folder, name) for name in pair)
    test = compare_systems(second, first, reference(folder))
    two = [rows[name] for name in pair]
    clock = "cpu_seconds" if all(row.get("cpu_seconds") for row in two) else "seconds"
    return {
        "wer": [row["wer"]["dev"] for row in two],
        "verdict": test.verdict,
        "p": test.p,
        "detectable": test.detectable,
        "interval": test.interval,
        "bits": [row["bits"] for row in two],
        "seconds": [row[clock] for row in two],
    }


def compared_over_seeds(
    folder: Path, first: Sequence[str], second: Sequence[str]
) -> dict[str, Any]:
    """The mean over the first's rows against the mean over the second's, paired by utterance.

    p is about the utterances: the seeds even out some of the luck of the runs, and what is left of
    it p does not know. The verdict has the thresholds that it has for two given models.
    """
    truth = Transcripts.read_trn(reference(folder))
    scores = [
        [score(truth, Transcripts.read_trn(transcript(folder, name))) for name in names]
        for names in (first, second)
    ]
    mean_errors = [
        np.mean([[one.errors for one in seed.alignments.values()] for seed in seeds], axis=0)
        for seeds in scores
    ]
    differences = mean_errors[0] - mean_errors[1]
    deviation = float(differences.std(ddof=1)) * math.sqrt(len(differences))
    change, base = float(differences.sum()), float(mean_errors[1].sum())
    half = NormalDist().inv_cdf(1 - ALPHA / 2) * deviation
    p, detectable = two_sided(change / deviation), deviations_away(ALPHA) * deviation / base
    untold = "lossless" if detectable <= TOLERATED else "inconclusive"
    return {
        "wers": [[seed.wer for seed in seeds] for seeds in scores],
        "wer": [fmean(seed.wer for seed in seeds) for seeds in scores],
        "verdict": untold if p >= ALPHA else "worse" if change > 0 else "better",
        "p": p,
        "detectable": detectable,
        "interval": [(change - half) / base, (change + half) / base],
    }


def transcript(folder: Path, name: str) -> Path:
    """What a row of a table recognised."""
    return next((folder / "transcripts" / name).glob("*/dev.trn"))


def reference(folder: Path) -> Path:
    """What was said, as the table's models write it."""
    return next((folder / "rows").glob("*/reference.trn"))


if __name__ == "__main__":
    main()
