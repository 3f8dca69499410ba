"""The program `sottovoce`."""

import os
import signal
import sys
import time
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from safetensors import SafetensorError

from sottovoce.cli import (
    calibrate,
    compare,
    compress,
    demo,
    evaluate,
    export,
    finetune,
    inspect,
    quantize,
    reproduce,
    transcribe,
)
from sottovoce.command import next_command
from sottovoce.errors import InputError, Interrupted
from sottovoce.version import __version__
from sottovoce.wording import printable

_LATER = 5.0
"""Seconds after which a process that follows says what ended it: what ends all of them the leader
says, and the launcher then ends the others."""

app = typer.Typer(
    help="Makes speech recognisers small and fast, and proves that nothing was lost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(compress.compress)
app.command()(quantize.quantize)
app.command()(calibrate.calibrate)
app.command()(finetune.finetune)
app.command()(evaluate.evaluate)
app.command()(compare.compare)
app.command()(transcribe.transcribe)
app.command()(export.export)
app.command()(inspect.inspect)
app.command()(reproduce.reproduce)
app.command()(demo.demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"sottovoce {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the program; a user's mistake is one sentence and exit status 2."""
    if isinstance(sys.stdout, TextIOWrapper):  # what its encoding lacks is escaped, as on stderr
        sys.stdout.reconfigure(errors="backslashreplace")
    if _follows():
        sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    for number in (signal.SIGINT, signal.SIGTERM):  # a training finishes its update first
        if signal.getsignal(number) != signal.SIG_IGN:  # as of a background job
            signal.signal(number, _stop)
    try:
        app()
    except SystemExit as ended:
        if not ended.code and "torch" in sys.modules:
            from sottovoce.training.distributed import leave_process_group

            leave_process_group()
        raise
    except InputError as error:
        sys.exit(_failed(f"error: {error}"))
    except (OSError, SafetensorError) as error:
        sys.exit(_failed(f"error: {error}; see that the disk has room and lets you write"))
    except Interrupted as stopped:
        sys.exit(_told(str(stopped), 130))


def _stop(number: int, _: Any) -> None:
    line = next_command()
    sys.exit(
        _told("interrupted" if line is None else f"interrupted; go on with: {line}", 128 + number)
    )


def _follows() -> bool:
    """Whether the environment says that another of several processes leads; waits for none."""
    return int(os.environ.get("RANK", "0")) > 0


def _failed(message: str) -> int:
    if _follows():
        time.sleep(_LATER)
        sys.stderr = sys.__stderr__
    return _told(message, 2)


def _told(message: str, status: int) -> int:
    print(printable(message), file=sys.stderr)
    return status
