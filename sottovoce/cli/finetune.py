"""`sottovoce finetune`."""

from typing import Any

from sottovoce.cli.arguments import Checkpoint, Dev, Out, Resume, Train
from sottovoce.cli.dials import with_dials
from sottovoce.cli.printing import Console, say
from sottovoce.recipe import Training


@with_dials(Training)
def finetune(
    checkpoint: Checkpoint, train: Train, dev: Dev, out: Out, resume: Resume = False, **dials: Any
) -> None:
    """Fine-tune in full precision: makes a start point, or the baseline U1.

    A checkpoint without a CTC head (such as hubert-large-ll60k) gets one, over the characters of
    the training transcripts.

    Example: sottovoce finetune facebook/hubert-large-ll60k --train train-clean-100 --dev dev-clean
    --epochs 20 --out start
    """
    from sottovoce.pipelines.full_precision import finetune as run

    measured = run(
        checkpoint,
        train,
        dev,
        out,
        Training().replaced(dials),
        resume=resume,
        console=Console(stderr=True),
    )
    say(f"{out}: {measured.score.sentence}")
