"""The console script `sottovoce`.

It stands outside the package, so that it comes before it: that it is loaded tells
`sottovoce/__init__` that nobody will ask the package for what users import from it, and
`sottovoce --help` then loads no torch and no transformers (docs/decisions/0028). And Ctrl-C is one
line from the first moment on.
"""

import signal
import sys
from typing import Any


def run() -> None:
    """Run the program."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as of a background job
            signal.signal(number, _stop)
    from sottovoce.cli.app import run as run_program  # noqa: PLC0415

    run_program()


def _stop(number: int, _: Any) -> None:
    print("interrupted", file=sys.stderr)
    sys.exit(128 + number)
