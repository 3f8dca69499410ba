"""A table as a TOML file: what each row trains, and what the paper printed for it."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from sottovoce.config.recipe import Recipe, Training, named_recipes, over, read_recipe
from sottovoce.errors import InputError, prefix_errors
from sottovoce.reading import parse_toml, read_text
from sottovoce.reproduction.pairs import Pair, read_pairs

METHODS = ("finetune", "compress", "published")
INPUT = "input"
"""Name of the row of the checkpoint as it was given."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A row's figures as the paper prints them; None or empty where it has none.

    Attributes:
        wer: per cent on each of the table's test sets, in their order.
        all: per cent, over the sets that the table combines.
        mark: "lossless" or "better" than the paper's own baseline.
        ratio: how many times smaller than full precision.
        hours: of training.
        change: percentage points of WER against the system's own baseline.
    """

    wer: tuple[float, ...] = ()
    all: float | None = None
    mark: str | None = None
    ratio: float | None = None
    hours: float | None = None
    change: float | None = None


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One system.

    Attributes:
        name: as the paper numbers it; also the name of the row's folder.
        system: what it is, in words.
        method: "finetune", full precision; "compress"; or "published", which nobody runs here.
        recipe: of "compress": a recipe's name or TOML file; beside the table's, if relative.
        options: turned on top of the recipe.
    """

    name: str
    system: str
    method: str = "compress"
    recipe: str = "default"
    options: Mapping[str, Any]
    paper: Published

    def training(self, shared: Mapping[str, Any]) -> Training | Recipe:
        """The row's whole recipe.

        Args:
            shared: options that are the same for all rows; they win.
        """
        started = Training() if self.method == "finetune" else read_recipe(self.recipe)
        return started.replaced(over(self.options, shared))


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        tests: the paper's test sets.
        combined: those over which it gives one rate, weighted by utterances.
        baseline: name of the row that every other one is tested against.
        start: what the paper says of its start point.
        pairs: what is claimed of the rows, tested once they are finished.
    """

    title: str
    paper: str
    tests: tuple[str, ...]
    combined: tuple[str, ...]
    baseline: str
    rows: tuple[TableRow, ...]
    start: Published
    pairs: tuple[Pair, ...] = ()

    def check(self, wanted: Collection[str] | None, shared: Mapping[str, Any]) -> None:
        """See that rows can be run so.

        Args:
            wanted: names of rows; None for all.
            shared: options that all rows get.

        Raises:
            InputError: there is no such row to run, or an option does not suit one.
        """
        known = {row.name: row for row in self.rows if row.method != "published"}
        for name in wanted or known:
            if name not in known:
                raise InputError(f"the table has no row {name!r} to run; it has {', '.join(known)}")
            with prefix_errors(f"row {name}"):
                known[name].training(shared)


def named_tables() -> list[str]:
    """Names that `read_table` knows."""
    folder = resources.files("sottovoce.reproduction.tables")
    return sorted(
        path.name.removesuffix(".toml") for path in folder.iterdir() if ".toml" in path.name
    )


def read_table(name_or_file: str) -> Table:
    """A table by name (`named_tables`) or from a TOML file.

    Raises:
        InputError: no such table, no TOML, or a row that cannot be run; the row is named.
    """
    if name_or_file in named_tables():
        text = (
            resources.files("sottovoce.reproduction.tables") / f"{name_or_file}.toml"
        ).read_text()
    elif Path(name_or_file).is_file():
        text = read_text(Path(name_or_file))
    else:
        known = ", ".join(named_tables())
        raise InputError(f"{name_or_file!r} is neither a table ({known}) nor a TOML file")
    try:
        return _table(parse_toml(text), Path(name_or_file).parent)
    except (ValueError, TypeError, AttributeError, InputError) as error:
        raise InputError(f"table {name_or_file}: {error}") from error


def _table(record: Mapping[str, Any], folder: Path) -> Table:
    unknown = record.keys() - {field.name for field in fields(Table)}
    if unknown:
        raise InputError(f"{min(unknown)!r} is unknown")
    rows = tuple(_row(row, folder) for row in record.get("rows", ()))
    names = [row.name for row in rows]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"two rows are called {twice[0]!r}")
    tests = tuple(record.get("tests", ()))
    run = {row.name for row in rows if row.method != "published"}
    table = Table(
        title=record.get("title", "Table"),
        paper=record.get("paper", ""),
        tests=tests,
        combined=tuple(record.get("combined", tests)),
        baseline=record.get("baseline", ""),
        rows=rows,
        start=_published(record.get("start", {})),
        pairs=tuple(
            pair for claim in record.get("pairs", ()) for pair in read_pairs(claim, {INPUT, *run})
        ),
    )
    if table.baseline not in run:
        raise InputError(f"its baseline {table.baseline!r} is no row that is run")
    return table


def _row(record: Mapping[str, Any], folder: Path) -> TableRow:
    name = record.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[\w ,+-][\w .,+-]*", name) or name == INPUT:
        raise InputError(
            f"a row has the name {name!r}; give it one of letters, digits and ._,+-, not {INPUT!r}"
        )
    try:
        row = TableRow(
            **{
                **record,
                "recipe": _recipe(record.get("recipe", TableRow.recipe), folder),
                "options": record.get("options", {}),
                "paper": _published(record.get("paper", {})),
            }
        )
        if row.method not in METHODS:
            raise InputError(f"method is {row.method!r}; it must be one of {METHODS}")
        if row.method != "published":
            row.training({})
    except (ValueError, TypeError, AttributeError, InputError) as error:
        raise InputError(f"row {name}: {error}") from error
    return row


def _recipe(name_or_file: str, folder: Path) -> str:
    """A recipe's name or file, as `read_recipe` takes it."""
    return name_or_file if name_or_file in named_recipes() else str(folder / name_or_file)


def _published(record: Mapping[str, Any]) -> Published:
    wer = tuple(float(rate) for rate in record.get("wer", ()))
    mark = record.get("mark")
    if mark not in (None, "lossless", "better"):
        raise InputError(f"the paper's mark is {mark!r}; it must be lossless or better")
    numbers = {name: float(value) for name, value in record.items() if name not in ("wer", "mark")}
    return Published(wer=wer, mark=mark, **numbers)
