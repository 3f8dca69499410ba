"""`sottovoce compare`."""

from pathlib import Path
from typing import Annotated

import typer

from sottovoce.cli.arguments import CORPUS, Runtime, SkipBroken
from sottovoce.cli.checks import check_places
from sottovoce.cli.options import add_options
from sottovoce.cli.printing import Console
from sottovoce.config.decoding import AS_THE_CHECKPOINT_SAYS, Decoding
from sottovoce.runtime.choices import check_runtime
from sottovoce.wording import plural


@add_options(Decoding, "Decoding", into="decoding")
def compare(
    a: Annotated[
        str,
        typer.Argument(
            help="The baseline: a checkpoint (hub id, folder), a compressed or exported folder, or "
            "the .trn that `evaluate --out` saved."
        ),
    ],
    b: Annotated[str, typer.Argument(help="The candidate, likewise.")],
    data: Annotated[
        Path, typer.Option(help=f"Speech with transcripts ({CORPUS}), or a reference .trn.")
    ],
    runtime: Runtime = "auto",
    skip_broken: SkipBroken = False,
    decoding: Decoding = AS_THE_CHECKPOINT_SAYS,
) -> None:
    """Is B worse than A? The matched-pairs test (MAPSSWE) and what it could have detected.

    Example: sottovoce compare start small --data dev-clean
    """
    check_runtime(runtime)
    check_places(models=(a, b), speech=(data,))
    from sottovoce.cli.loading import quiet_console
    from sottovoce.commands.compare import compare_systems
    from sottovoce.speech.corpus import Speech

    speech, console = Speech(data, skip_broken), quiet_console()
    result = compare_systems(a, b, speech, console, runtime=runtime, decoding=decoding)
    shown = Console(soft_wrap=True)
    shown.print(
        f"{result.test}: Z = {result.z:.3f}, p = {result.p:.3f}, "
        f"{plural(result.segments, 'segment')}, {result.errors_a:,} against "
        f"{plural(result.errors_b, 'error')} in {plural(result.words, 'word')}"
    )
    shown.print(result.sentence)
