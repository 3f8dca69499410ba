"""`sottovoce calibrate`."""

from pathlib import Path
from typing import Annotated

import typer

from sottovoce.cli.arguments import CORPUS, FloatAttention, Out, Resume, SkipBroken
from sottovoce.cli.checks import check_places
from sottovoce.cli.options import add_options
from sottovoce.config.decoding import AS_THE_CHECKPOINT_SAYS, Decoding
from sottovoce.config.post_training import CALIBRATION_MINUTES_HELP
from sottovoce.errors import InputError
from sottovoce.quantization.rules import INPUT_RANGES


@add_options(Decoding, "Decoding", into="decoding")
def calibrate(
    model: Annotated[str, typer.Argument(help="A compressed folder, trained or not.")],
    calibration: Annotated[
        Path,
        typer.Option(
            help=f"Calibration speech; some minutes of it are used: {CORPUS}; with --dev a folder "
            "of audio is enough."
        ),
    ],
    out: Out,
    rule: Annotated[
        str, typer.Option(help="Of the ranges: minmax, percentile, mse or entropy.")
    ] = "mse",
    float_attention: FloatAttention = False,
    calibration_minutes: Annotated[
        float | None, typer.Option(help=CALIBRATION_MINUTES_HELP)
    ] = None,
    dev: Annotated[
        Path | None,
        typer.Option(help=f"Speech to measure on: {CORPUS}; else the calibration speech."),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Test the result against this recogniser too.")
    ] = None,
    skip_broken: SkipBroken = False,
    resume: Resume = False,
    decoding: Decoding = AS_THE_CHECKPOINT_SAYS,
) -> None:
    """Give a compressed model 8-bit inputs, so that it runs on integer kernels.

    The weights stay as they are. Layers whose rounded inputs would change words keep floating
    point and are named; attention's products are rounded in the layers where that is harmless. OUT
    is another model, with its own error rate and verdict.

    Example: sottovoce calibrate small --calibration some-speech --dev dev-clean --out small-int8
    """
    if rule not in INPUT_RANGES:
        raise InputError(f"rule is {rule!r}; it must be one of {', '.join(INPUT_RANGES)}")
    check_places(models=(model, baseline), speech=(calibration, dev), out=out)
    from sottovoce.cli.loading import quiet_console
    from sottovoce.cli.summary import print_summary
    from sottovoce.commands.calibrate import calibrate as run
    from sottovoce.speech.corpus import Speech

    record = run(
        model,
        Speech(calibration, skip_broken),
        out,
        rule=rule,
        evaluate_on=None if dev is None else Speech(dev, skip_broken),
        float_attention=float_attention,
        calibration_minutes=calibration_minutes,
        baseline=baseline,
        resume=resume,
        decoding=decoding,
        console=quiet_console(),
    )
    print_summary(record, out)
