"""The tables that `sottovoce reproduce` ran here: what of `runs/` is kept in `benchmarks/results/`.

    python benchmarks/tables.py

RESULTS.md has the command of each; a table may be kept before its last row is there, and says so.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from commands import ROOT
from rich.console import Console
from rows import RESULTS, Row

from sottovoce.files import write_text
from sottovoce.reproduction.table import read_table

DATA = "--train ../shared/data/commands/train.jsonl --test dev=../shared/data/commands/dev.jsonl"
WAV2VEC2 = "../shared/models/commands-wav2vec2"
CONFORMER, HUBERT, WAVLM = (
    f"benchmarks/models/commands-{one}" for one in ("conformer", "hubert", "wavlm")
)

console = Console()


@dataclass(frozen=True)
class Kept:
    """A table that is kept.

    Attributes:
        name: of its folder in `runs` and of its files in `results`.
        table: as `reproduce` takes it, from the root of the repository.
        options: that all its rows have.
    """

    name: str
    table: str
    checkpoint: str
    options: str = ""

    @property
    def command(self) -> str:
        """All but the data."""
        options = f"{self.options} " if self.options else ""
        return f"{self.table} --checkpoint {self.checkpoint} {options}--out runs/{self.name}"

    @property
    def wanted(self) -> list[str]:
        """Names of the rows that it has when it is whole."""
        file = ROOT / self.table
        table = read_table(str(file) if file.is_file() else self.table)
        return [row.name for row in table.rows if row.method != "published"]

    @property
    def rows(self) -> list[Row]:
        """Those that are kept, the checkpoint first; none before there is any."""
        file = RESULTS / f"{self.name}.json"
        return json.loads(file.read_text())["rows"] if file.exists() else []


TABLES = (
    Kept("table-1", "I", WAV2VEC2, "--steps 100 --learning-rate 2e-4"),
    Kept("main-rows", "benchmarks/main-rows.toml", WAV2VEC2),
    Kept("rates", "benchmarks/rates.toml", WAV2VEC2),
    Kept("longer", "benchmarks/longer.toml", WAV2VEC2),
    Kept("main-hubert", "benchmarks/main-rows.toml", HUBERT),
    Kept("main-wavlm", "benchmarks/main-rows.toml", WAVLM),
    Kept("table-p2", "P2", CONFORMER, "--steps 100 --learning-rate 1e-4"),
    Kept("low-conformer", "benchmarks/low-bits.toml", CONFORMER),
    Kept("low-conformer-seeds", "benchmarks/low-bits-seeds.toml", CONFORMER),
    Kept("low-hubert", "benchmarks/low-bits.toml", HUBERT),
    Kept("low-wav2vec2", "benchmarks/low-bits.toml", WAV2VEC2, "--learning-rate 2e-4"),
)


def kept_rows(name: str) -> list[Row]:
    """Of one of `TABLES`, by its name."""
    return next(one for one in TABLES if one.name == name).rows


def main() -> None:
    """Keep what is there."""
    for one in TABLES:
        folder = ROOT / "runs" / one.name
        if (folder / "table.json").exists():
            keep(one, folder)
            console.print(f"{one.name}: {len(one.rows) - 1} of {len(one.wanted)} rows")


def keep(one: Kept, folder: Path) -> None:
    """Copy a table as Markdown and JSON."""
    shutil.copy(folder / "table.json", RESULTS / f"{one.name}.json")
    title, _, rest = (folder / "table.md").read_text().partition("\n")
    whole = len(one.rows) > len(one.wanted)
    heading = title if whole else f"{title}: unfinished, the rows so far"
    write_text(RESULTS / f"{one.name}.md", f"{heading}\n{rest}")


if __name__ == "__main__":
    main()
