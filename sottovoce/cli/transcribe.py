"""`sottovoce transcribe`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sottovoce.cli.arguments import Model, Runtime
from sottovoce.cli.printing import Console, say
from sottovoce.errors import InputError
from sottovoce.runtime.chunks import Chunking
from sottovoce.wording import printable

_DEFAULT = Chunking()


def transcribe(
    model: Model,
    files: Annotated[
        list[Path],
        typer.Argument(help="Audio of any length, in any format and rate that soundfile reads."),
    ],
    chunk: Annotated[
        float, typer.Option(help="Seconds the model hears at once; longer files are cut.")
    ] = _DEFAULT.chunk,
    context: Annotated[
        float, typer.Option(help="Seconds at either end of a chunk that only give it context.")
    ] = _DEFAULT.context,
    runtime: Runtime = "auto",
) -> None:
    """What is said in audio files, one line a file.

    A file that cannot be read is told and left out: the exit status is then 2.

    Example: sottovoce transcribe small meeting.flac question.wav
    """
    from sottovoce.pipelines.evaluating import transcribe as run

    left_out: list[InputError] = []

    def refused(error: InputError) -> None:
        print(printable(f"error: {error}"), file=sys.stderr)
        left_out.append(error)

    texts = run(
        model,
        files,
        Chunking(chunk, context),
        runtime=runtime,
        refused=refused,
        console=Console(stderr=True),
    )
    for file, text in texts:
        say(*((file, text) if len(files) > 1 else (text,)))
    if left_out:
        raise typer.Exit(2)
