"""`sottovoce quantize`."""

from pathlib import Path
from typing import Annotated

import typer

from sottovoce.cli.arguments import CORPUS, Checkpoint, FloatAttention, Out, Resume
from sottovoce.cli.checks import check_places
from sottovoce.posttraining.dials import PostTraining

DEFAULTS = PostTraining()


def quantize(
    checkpoint: Checkpoint,
    calibration: Annotated[
        Path,
        typer.Option(
            help=f"Calibration speech, some minutes of it: {CORPUS}; with --dev a folder of audio "
            "is enough."
        ),
    ],
    out: Out,
    method: Annotated[
        str,
        typer.Option(
            help="stablequant (arXiv 2504.14915): 8 bits, input ranges adapted where a layer "
            "suffers; minmax, percentile, mse, entropy: 8 bits, one rule for all ranges; mixed: "
            "each matrix's width by what it costs, under --bits."
        ),
    ] = DEFAULTS.method,
    bits: Annotated[
        float, typer.Option(help="With mixed: nominal bits of the encoder's matrices, at most.")
    ] = DEFAULTS.bits,
    candidates: Annotated[
        str,
        typer.Option(
            help="With mixed: what a matrix may take: bits, bits/grid or bits/grid/granularity, "
            "such as 2/asymmetric/64."
        ),
    ] = ",".join(map(str, DEFAULTS.candidates)),
    scale_bits: Annotated[
        int | None,
        typer.Option(help="With mixed: bits of a matrix's scale or offset: 16; 32 if not given."),
    ] = DEFAULTS.scale_bits,
    inputs: Annotated[
        bool,
        typer.Option(
            "--inputs",
            help="With mixed: what goes into the layers takes 8 bits too, as with the other "
            "methods; not where the weights have offsets or blocks, which 8-bit kernels cannot "
            "multiply.",
        ),
    ] = DEFAULTS.inputs,
    float_inputs: Annotated[
        bool,
        typer.Option(
            " /--no-float-inputs",
            help="With stablequant: round the inputs of layers that stay sensitive too, which "
            "otherwise keep floating point and are named.",
            show_default=False,
        ),
    ] = DEFAULTS.float_inputs,
    float_attention: FloatAttention = DEFAULTS.float_attention,
    dev: Annotated[
        Path | None,
        typer.Option(help=f"Speech to measure on: {CORPUS}; else the calibration speech."),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Test the result against this recogniser too.")
    ] = None,
    resume: Resume = False,
) -> None:
    """Quantize in minutes, without training.

    OUT becomes a folder that `transformers` loads after `import sottovoce`, with model card,
    metrics and report, as `compress` writes it.

    Example: sottovoce quantize facebook/wav2vec2-base-100h --calibration some-speech
    --dev dev-clean --out small
    """
    settings = PostTraining(
        method=method,
        bits=bits,
        candidates=tuple(candidates.split(",")),
        scale_bits=scale_bits,
        inputs=inputs,
        float_inputs=float_inputs,
        float_attention=float_attention,
    )
    check_places(models=(checkpoint, baseline), speech=(calibration, dev), out=out)
    from sottovoce.cli.loading import quiet_console
    from sottovoce.cli.summary import print_summary
    from sottovoce.pipelines.posttraining import quantize as run

    record = run(
        checkpoint,
        calibration,
        out,
        settings,
        evaluate_on=dev,
        baseline=baseline,
        resume=resume,
        console=quiet_console(),
    )
    print_summary(record, out)
