"""`sottovoce finetune`."""

from typing import Any

from sottovoce.cli.arguments import Checkpoint, Dev, Out, Resume, SkipBroken, Train
from sottovoce.cli.checks import check_places
from sottovoce.cli.options import add_options
from sottovoce.cli.printing import say
from sottovoce.config.decoding import AS_THE_CHECKPOINT_SAYS, Decoding
from sottovoce.config.recipe import Training


@add_options(Training)
@add_options(Decoding, "Decoding", into="decoding")
def finetune(
    checkpoint: Checkpoint,
    train: Train,
    dev: Dev,
    out: Out,
    skip_broken: SkipBroken = False,
    resume: Resume = False,
    decoding: Decoding = AS_THE_CHECKPOINT_SAYS,
    **options: Any,
) -> None:
    """Fine-tune in full precision: makes a start point, or a baseline to compare with.

    A checkpoint without a CTC head (such as hubert-large-ll60k) gets one, over the characters of
    the training transcripts.

    Example: sottovoce finetune facebook/hubert-large-ll60k --train train-clean-100 --dev dev-clean
    --epochs 20 --out start
    """
    recipe = Training().replaced(options)
    check_places(models=(checkpoint,), speech=(train, dev), out=out)
    from sottovoce.cli.loading import quiet_console
    from sottovoce.commands.finetune import finetune as run
    from sottovoce.speech.corpus import Speech

    measured = run(
        checkpoint,
        Speech(train, skip_broken),
        Speech(dev, skip_broken),
        out,
        recipe,
        resume=resume,
        decoding=decoding,
        console=quiet_console(),
    )
    say(f"{out}: {measured.score.sentence}")
