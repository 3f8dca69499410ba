"""`sottovoce transcribe`."""

from pathlib import Path
from typing import Annotated

import typer

from sottovoce.cli.arguments import Model


def transcribe(
    model: Model,
    files: Annotated[
        list[Path], typer.Argument(help="Audio in any format and rate that soundfile reads.")
    ],
) -> None:
    """What is said in audio files, one line a file.

    Example: sottovoce transcribe small meeting.flac question.wav
    """
    from sottovoce.pipelines.evaluating import transcribe as run

    for file, text in run(model, files):
        print(f"{file}\t{text}" if len(files) > 1 else text, flush=True)
