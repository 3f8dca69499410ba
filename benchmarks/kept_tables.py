"""Tables that `sottovoce reproduce` runs here, and what of them is kept in `benchmarks/results/`.

A table is run in `runs/NAME`; its rows and tests of pairs then join those in
`benchmarks/results/NAME.json`, so that rows may be run on several days and machines. What is kept
stays as it is: to measure a row anew, delete it there and its folder in `runs/NAME/rows`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.inputs import ROOT, RUNS, Inputs, Needs, parser_of
from benchmarks.rows import RESULTS
from sottovoce.files import write_text
from sottovoce.reproduction.page import TableState, markdown_page, read_record
from sottovoce.reproduction.pair_tests import PairTest
from sottovoce.reproduction.results import Result
from sottovoce.reproduction.run import reproduce
from sottovoce.reproduction.table import Table, read_table

WAV2VEC2 = "commands-wav2vec2"
"""The reference recogniser, of the data folder; other start points are in `benchmarks/models`."""

console = Console()


@dataclass(frozen=True, eq=False)
class KeptTable:
    """A table that is kept.

    Attributes:
        name: of its folder in `runs` and of its files in `results`.
        start: name of the checkpoint that its rows start from.
        toml: as `reproduce` takes it: a name, or a file's path from the root of the repository.
        options: that all its rows have.
    """

    name: str
    start: str
    toml: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return RESULTS / f"{self.name}.json"

    @cached_property
    def table(self) -> Table:
        return read_table(str(ROOT / self.toml) if self.toml.endswith(".toml") else self.toml)

    @property
    def wanted(self) -> list[str]:
        """Names of the rows that it has when it is whole."""
        return [row.name for row in self.table.rows if row.method != "published"]

    @cached_property
    def measured(self) -> TableState | None:
        """What is kept; None before there is anything."""
        if not self.file.exists():
            return None
        return read_record(json.loads(self.file.read_text()), self.table)

    @property
    def rows(self) -> dict[str, Result]:
        """Kept rows by name, the checkpoint first."""
        return {one.name: one for one in self.measured.results} if self.measured else {}

    @property
    def tests(self) -> Sequence[PairTest]:
        """Kept tests of the table's pairs."""
        return self.measured.claims if self.measured else ()

    @property
    def progress(self) -> str:
        """How many of its rows are kept."""
        there, wanted = len(self.rows) - 1, len(self.wanted)
        if there < 1:
            return "not run yet"
        return "all rows" if there >= wanted else f"{there} of {wanted} rows"

    def page(self) -> str | None:
        """In Markdown; None before there is anything."""
        if self.measured is None:
            return None
        title, _, rest = markdown_page(self.measured).partition("\n")
        return f"{title}\n\nStart point: {self.start}. Kept: {self.progress}.\n{rest}"

    def run(self, inputs: Inputs) -> None:
        """Run what is missing, and keep it."""
        start = ROOT / "benchmarks" / "models" / self.start
        reproduce(
            self.table,
            inputs.checkpoint if self.start == WAV2VEC2 else start,
            inputs.train,
            {"dev": inputs.dev},
            RUNS / self.name,
            {"evaluations": 1, **self.options},
            console=console,
        )

    def keep(self) -> None:
        """Let what is in `runs` join what is kept; nothing where it was not run here."""
        ran = RUNS / self.name / "table.json"
        if not ran.exists():
            return
        new = json.loads(ran.read_text())
        kept = json.loads(self.file.read_text()) if self.file.exists() else None
        record = merged(kept, new) if kept else new
        write_text(self.file, json.dumps(record, indent=1, ensure_ascii=False))
        console.print(f"{self.name}: {len(record['rows']) - 1} of {len(self.wanted)} rows")


def merged(kept: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """A `table.json` with the new rows and tests beside those that were kept, which stay."""
    rows = {row["name"]: row for row in (*new["rows"], *kept["rows"])}
    pairs = {_key(pair): pair for pair in (*new.get("pairs", ()), *kept.get("pairs", ()))}
    order = list(dict.fromkeys(row["name"] for row in (*kept["rows"], *new["rows"])))
    tests = dict.fromkeys(_key(pair) for pair in (*kept.get("pairs", ()), *new.get("pairs", ())))
    failures = {**kept["failures"], **new["failures"]}
    return {
        **new,
        "rows": [rows[name] for name in order],
        "pairs": [pairs[key] for key in tests],
        "failures": {name: why for name, why in failures.items() if name not in rows},
    }


def _key(pair: Mapping[str, Any]) -> tuple[Any, ...]:
    sides = tuple(tuple(pair[side]) for side in ("candidate", "baseline"))
    return (pair["claim"], pair["expected"], *sides)


def run_tables(
    tables: Sequence[KeptTable], doc: str | None, needs: Needs, arguments: Sequence[str] | None
) -> None:
    """The whole of a script that runs some tables."""
    names = [one.name for one in tables]
    parser = parser_of(doc, needs)
    parser.add_argument("--table", nargs="+", choices=names, default=names, help="only these")
    parser.add_argument(
        "--keep", action="store_true", help="train nothing, keep what is in runs/ already"
    )
    given = parser.parse_args(arguments)
    for table in tables:
        if table.name in given.table:
            if not given.keep:
                table.run(Inputs.at(given.data))
            table.keep()


def listed(tables: Sequence[KeptTable]) -> str:
    """The tables of a question, with their commands."""
    return "\n".join(f"- `{command_of(one)}`: {_linked(one)}." for one in tables)


def command_of(table: KeptTable) -> str:
    """All but the data, which are the same for all."""
    start = f"../shared/models/{WAV2VEC2}" if table.start == WAV2VEC2 else None
    checkpoint = start or f"benchmarks/models/{table.start}"
    shared = [f"--{name.replace('_', '-')} {value}" for name, value in table.options.items()]
    words = ["sottovoce reproduce", table.toml, "--checkpoint", checkpoint, *shared]
    return " ".join([*words, f"--out runs/{table.name}"])


def _linked(table: KeptTable) -> str:
    return f"[{table.progress}]({table.name}.md)" if table.rows else table.progress
