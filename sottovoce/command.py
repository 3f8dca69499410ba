"""The command line that the program was run with, and the one that goes on after it stopped."""

import shlex
import sys
from pathlib import Path

WITH_RESUME = ("calibrate", "compress", "finetune", "quantize")
"""Commands that take `--resume`."""
WITHOUT_RESUME = ("demo", "reproduce")
"""Commands that go on by themselves where they find a run of theirs that stopped."""


def command_line() -> str | None:
    """What the program was run with; None where it was not, but the library was called."""
    words = _words()
    return None if words is None else shlex.join(["sottovoce", *words])


def next_command() -> str | None:
    """The command line that goes on with what this one began; None where there is none."""
    words = _words()
    if not words or words[0] not in (*WITH_RESUME, *WITHOUT_RESUME):
        return None
    resume = ["--resume"] if words[0] in WITH_RESUME and "--resume" not in words else []
    return shlex.join(["sottovoce", *words, *resume])


def how_to_go_on(in_python: str = "call it again with resume=True") -> str:
    """The end of a sentence that says how a run goes on that stopped, or was not to begin anew.

    Args:
        in_python: where the library was called.
    """
    line = next_command()
    return in_python if line is None else f"go on with: {line}"


def _words() -> list[str] | None:
    program, *words = sys.argv
    return words if Path(program).name == "sottovoce" else None
