"""`sottovoce evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from sottovoce.cli.arguments import Data, Model, Runtime, SkipBroken
from sottovoce.cli.checks import check_places
from sottovoce.cli.options import add_options
from sottovoce.cli.printing import say
from sottovoce.config.decoding import AS_THE_CHECKPOINT_SAYS, Decoding
from sottovoce.files import refuse_unwritable
from sottovoce.runtime.choices import check_runtime


@add_options(Decoding, "Decoding", into="decoding")
def evaluate(
    model: Model,
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for reference.trn, hypothesis.trn (for sclite) and score.json."),
    ] = None,
    runtime: Runtime = "auto",
    skip_broken: SkipBroken = False,
    decoding: Decoding = AS_THE_CHECKPOINT_SAYS,
) -> None:
    """Word error rate with its 95% interval, and the real-time factor.

    Example: sottovoce evaluate small --data dev-clean --out scores
    """
    check_runtime(runtime)
    check_places(models=(model,), speech=(data,))
    if out is not None:
        refuse_unwritable(out)
    from sottovoce.cli.loading import quiet_console
    from sottovoce.commands.evaluate import evaluate as run
    from sottovoce.speech.corpus import Speech
    from sottovoce.speech.labels import NO_NORMALISER

    speech = Speech(data, skip_broken)
    found = run(model, speech, quiet_console(), runtime=runtime, decoding=decoding)
    own, recognised = found.score, found.recognised
    if skip_broken:
        say(found.corpus)
    say(own.sentence)
    if found.normaliser != NO_NORMALISER:
        say(f"Words are compared after the {found.normaliser} normaliser.")
    say(
        f"{recognised.seconds:.1f} s for {recognised.seconds_of_audio:.0f} s of audio: "
        f"real-time factor {recognised.real_time_factor:.4f} on {found.place}"
    )
    if out is not None:
        own.write(out, real_time_factor=recognised.real_time_factor, normaliser=found.normaliser)
        say(f"written: {out}")
