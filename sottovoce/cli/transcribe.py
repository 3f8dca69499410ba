"""`sottovoce transcribe`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sottovoce.cli.arguments import Model, Runtime
from sottovoce.cli.checks import check_places
from sottovoce.cli.options import add_options
from sottovoce.cli.printing import say
from sottovoce.config.decoding import AS_THE_CHECKPOINT_SAYS, Decoding
from sottovoce.errors import InputError
from sottovoce.runtime.choices import check_runtime
from sottovoce.runtime.chunking import Chunking
from sottovoce.wording import printable

_DEFAULT = Chunking()


@add_options(Decoding, "Decoding", into="decoding")
def transcribe(
    model: Model,
    files: Annotated[
        list[Path],
        typer.Argument(help="Audio of any length, in any format and rate that soundfile reads."),
    ],
    chunk: Annotated[
        float,
        typer.Option(
            help="Seconds the model hears at once; longer files are cut. An attention decoder "
            "hears a window of its own, and goes through longer files by itself."
        ),
    ] = _DEFAULT.chunk,
    context: Annotated[
        float, typer.Option(help="Seconds at either end of a chunk that only give it context.")
    ] = _DEFAULT.context,
    runtime: Runtime = "auto",
    decoding: Decoding = AS_THE_CHECKPOINT_SAYS,
) -> None:
    """What is said in audio files, one line a file.

    A file that cannot be read is told and left out: the exit status is then 2.

    Example: sottovoce transcribe small meeting.flac question.wav
    """
    chunking = Chunking(chunk, context)
    check_runtime(runtime)
    check_places(models=(model,))
    left_out: list[InputError] = []

    def refused(error: InputError) -> None:
        print(printable(f"error: {error}"), file=sys.stderr)
        left_out.append(error)

    there = [file for file in files if file.exists()]
    for file in files:
        if file not in there:
            refused(InputError(f"{file} does not exist"))
    if not there:
        raise typer.Exit(2)
    from sottovoce.cli.loading import quiet_console
    from sottovoce.commands.evaluate import transcribe as run

    texts = run(
        model,
        there,
        chunking,
        runtime=runtime,
        refused=refused,
        decoding=decoding,
        console=quiet_console(),
    )
    for file, text in texts:
        say(*((file, text) if len(files) > 1 else (text,)))
    if left_out:
        raise typer.Exit(2)
