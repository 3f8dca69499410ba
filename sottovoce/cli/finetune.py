"""`sottovoce finetune`."""

from typing import Any

from sottovoce.cli.arguments import Checkpoint, Dev, Out, Resume, SkipBroken, Train
from sottovoce.cli.checks import check_places
from sottovoce.cli.dials import with_dials
from sottovoce.cli.printing import say
from sottovoce.recipe import Training


@with_dials(Training)
def finetune(
    checkpoint: Checkpoint,
    train: Train,
    dev: Dev,
    out: Out,
    skip_broken: SkipBroken = False,
    resume: Resume = False,
    **dials: Any,
) -> None:
    """Fine-tune in full precision: makes a start point, or the baseline U1.

    A checkpoint without a CTC head (such as hubert-large-ll60k) gets one, over the characters of
    the training transcripts.

    Example: sottovoce finetune facebook/hubert-large-ll60k --train train-clean-100 --dev dev-clean
    --epochs 20 --out start
    """
    recipe = Training().replaced(dials)
    check_places(models=(checkpoint,), speech=(train, dev), out=out)
    from sottovoce.cli.loading import quiet_console
    from sottovoce.pipelines.full_precision import finetune as run
    from sottovoce.speech.corpus import Speech

    measured = run(
        checkpoint,
        Speech(train, skip_broken),
        Speech(dev, skip_broken),
        out,
        recipe,
        resume=resume,
        console=quiet_console(),
    )
    say(f"{out}: {measured.score.sentence}")
