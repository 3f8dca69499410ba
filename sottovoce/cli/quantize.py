"""`sottovoce quantize`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sottovoce.cli.arguments import CORPUS, Checkpoint, Out, Resume, SkipBroken
from sottovoce.cli.checks import check_places
from sottovoce.cli.options import add_options
from sottovoce.config.decoding import AS_THE_CHECKPOINT_SAYS, Decoding
from sottovoce.config.post_training import PostTraining


@add_options(PostTraining)
@add_options(Decoding, "Decoding", into="decoding")
def quantize(
    checkpoint: Checkpoint,
    calibration: Annotated[
        Path,
        typer.Option(
            help=f"Calibration speech; some minutes of it are used: {CORPUS}; with --dev a folder "
            "of audio is enough."
        ),
    ],
    out: Out,
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
    **options: Any,
) -> None:
    """Quantize in minutes, without training.

    OUT becomes a folder that `transformers` loads after `import sottovoce`, with model card,
    metrics and report, as `compress` writes it.

    Example: sottovoce quantize facebook/wav2vec2-base-100h --calibration some-speech
    --dev dev-clean --out small
    """
    settings = PostTraining().replaced(options)
    check_places(models=(checkpoint, baseline), speech=(calibration, dev), out=out)
    from sottovoce.cli.loading import quiet_console
    from sottovoce.cli.summary import print_summary
    from sottovoce.commands.quantize import quantize as run
    from sottovoce.speech.corpus import Speech

    record = run(
        checkpoint,
        Speech(calibration, skip_broken),
        out,
        settings,
        evaluate_on=None if dev is None else Speech(dev, skip_broken),
        baseline=baseline,
        resume=resume,
        decoding=decoding,
        console=quiet_console(),
    )
    print_summary(record, out)
