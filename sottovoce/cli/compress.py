"""`sottovoce compress`."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from sottovoce.cli.arguments import Checkpoint, Dev, Out, Resume, SkipBroken, TrainOrAudio
from sottovoce.cli.checks import check_places
from sottovoce.cli.options import add_options
from sottovoce.commands.criterion import LosslessCriterion
from sottovoce.config.decoding import AS_THE_CHECKPOINT_SAYS, Decoding
from sottovoce.config.recipe import Recipe, read_recipe
from sottovoce.errors import InputError

_Recipe = Annotated[str, typer.Option(help="A recipe's name (default, paper, ...) or a TOML file.")]
_Baseline = Annotated[
    str | None,
    typer.Option(help="Test the result against this recogniser too, such as a fine-tuned one."),
]
_Cache = Annotated[
    Path | None,
    typer.Option(
        help="Keep here what other runs from CHECKPOINT can share: the cached teacher's outputs, "
        "Pass 1, uniform models."
    ),
]
_Lossless = Annotated[
    bool,
    typer.Option(
        "--lossless",
        help="Search for the smallest size without a significant loss, in place of --bits. Half of "
        "--dev decides, the other half gives the verdict.",
    ),
]
_Alpha = Annotated[
    float | None, typer.Option(help="With --lossless: level of significance (0.05).")
]
_Detectable = Annotated[
    float | None,
    typer.Option(
        help="With --lossless: relative loss that matters (0.10); half of it may be seen."
    ),
]


@add_options(Recipe)
@add_options(Decoding, "Decoding", into="decoding")
def compress(
    checkpoint: Checkpoint,
    train: TrainOrAudio,
    dev: Dev,
    out: Out,
    recipe: _Recipe = "default",
    baseline: _Baseline = None,
    cache: _Cache = None,
    lossless: _Lossless = False,
    alpha: _Alpha = None,
    detectable: _Detectable = None,
    skip_broken: SkipBroken = False,
    resume: Resume = False,
    decoding: Decoding = AS_THE_CHECKPOINT_SAYS,
    **options: Any,
) -> None:
    """Learn each layer's bit-width and the quantized weights in one training, and pack them.

    Joint mixed-precision learning (arXiv 2501.03643). OUT becomes a folder that
    `transformers` loads after `import sottovoce`: packed weights, model card, metrics and a report
    to look at, with a significance test against CHECKPOINT. `--bits` sets the size; `--lossless`
    searches for the smallest one without a significant loss.

    Example: sottovoce compress facebook/wav2vec2-base-100h --train train-clean-100 --dev dev-clean
    --bits 4 --out small
    """
    given = {"alpha": alpha, "detectable": detectable}
    asked = {name: value for name, value in given.items() if value is not None}
    if asked and not lossless:
        raise InputError("--alpha and --detectable are questions of --lossless: give that too")
    if lossless:
        sized = sorted(options.keys() & {"bits", "eta"})
        if sized:
            raise InputError(
                f"--lossless searches for the size that --{sized[0]} sets: leave out one of them"
            )
        options |= {"bits": None, "eta": None}
    settings, question = read_recipe(recipe).replaced(options), LosslessCriterion(**asked)
    check_places(models=(checkpoint, baseline), speech=(train, dev), out=out)

    from sottovoce.cli.loading import quiet_console
    from sottovoce.cli.summary import print_summary
    from sottovoce.commands.compress import compress as compress_to_size
    from sottovoce.commands.lossless import compress_lossless
    from sottovoce.speech.corpus import Speech

    run = partial(compress_lossless, question=question) if lossless else compress_to_size
    record = run(
        checkpoint,
        Speech(train, skip_broken),
        Speech(dev, skip_broken),
        out,
        settings,
        baseline=baseline,
        cache=cache,
        resume=resume,
        decoding=decoding,
        console=quiet_console(),
    )
    print_summary(record, out)
