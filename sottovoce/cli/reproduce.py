"""`sottovoce reproduce`."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from sottovoce.cli.arguments import CORPUS, Train
from sottovoce.cli.checks import check_places
from sottovoce.cli.options import add_options
from sottovoce.cli.printing import say
from sottovoce.config.recipe import Training
from sottovoce.errors import InputError
from sottovoce.files import refuse_unwritable
from sottovoce.reproduction.table import read_table


@add_options(Training)
def reproduce(
    table: Annotated[
        str,
        typer.Argument(
            help="xu2025-table-1 (wav2vec2-base), -2 (HuBERT-large) or -3 (against published "
            "systems) of arXiv 2501.03643, rybakov2023 (2-bit weights, arXiv 2305.16619), or a "
            "TOML file of rows."
        ),
    ],
    checkpoint: Annotated[str, typer.Option(help="The start point: hub id or folder.")],
    train: Train,
    test: Annotated[
        list[str],
        typer.Option(help=f"NAME=SPEECH, several times; speech is {CORPUS}."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the table; where it is there, goes on.")],
    row: Annotated[
        list[str] | None,
        typer.Option(
            help="Run this row, the baseline, which is trained first where it is not there, and "
            "those that are finished; several times. Else all."
        ),
    ] = None,
    **options: Any,
) -> None:
    """Run every row of a paper's table on your checkpoint and speech, the paper's numbers beside.

    Each row becomes a folder in OUT/rows that `transformers` loads; what rows share is trained
    once. After every row OUT/table.md, table.html and table.json are written anew. The same
    command goes on after an interruption. Options hold for all rows.

    Example: sottovoce reproduce xu2025-table-1 --checkpoint facebook/wav2vec2-base-100h
    --train train-clean-100 --test test-clean=test-clean --test test-other=test-other --out table-1
    """
    tests = {}
    for one in test:
        name, found, path = one.partition("=")
        if not found or not re.fullmatch(r"[\w+-][\w.+-]*", name) or name == "all":
            raise InputError(f"--test {one!r} must be NAME=SPEECH, such as dev-clean=dev-clean")
        if name in tests:
            raise InputError(f"two --test are called {name!r}; give each its own name")
        tests[name] = path
    rows_of = read_table(table)
    rows_of.check(row, options)
    check_places(models=(checkpoint,), speech=(train, *tests.values()))
    refuse_unwritable(out)

    from sottovoce.cli.loading import quiet_console
    from sottovoce.reproduction.run import reproduce as run

    console = quiet_console()
    run(rows_of, checkpoint, train, tests, out, options, rows=row, console=console)
    for line in (out / "table.md").read_text(encoding="utf-8").split("\n"):
        say(line)
    say(out / "table.html")
