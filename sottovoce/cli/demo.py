"""`sottovoce demo`."""

from pathlib import Path
from typing import Annotated

import typer

from sottovoce.cli.arguments import Out
from sottovoce.cli.checks import check_places
from sottovoce.config.recipe import Recipe


def demo(
    out: Out = Path("demo-output"),
    bits: Annotated[
        float, typer.Option(help="Target: nominal bits of the encoder's matrices.")
    ] = 3.0,
) -> None:
    """Speak a small corpus and compress the embedded recogniser on it: the whole job in minutes.

    Example: sottovoce demo
    """
    Recipe().replaced({"bits": bits})  # refuses now what the demo's own recipe would
    check_places(out=out)
    from sottovoce.cli.loading import quiet_console
    from sottovoce.cli.summary import print_summary
    from sottovoce.demo.run import run_demo

    print_summary(run_demo(out, bits, quiet_console()), out)
