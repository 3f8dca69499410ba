"""The demo: the true main job on a recogniser and a corpus that need no download."""

from pathlib import Path

from rich.console import Console

from sottovoce.commands.compress import compress
from sottovoce.config.recipe import Recipe
from sottovoce.demo.corpus import speak_corpus
from sottovoce.demo.tiny import trained_recogniser
from sottovoce.errors import InputError
from sottovoce.record import RunRecord
from sottovoce.training.run import unfinished

SPEECH_HOURS = 1.0
RECIPE = Recipe(steps=240, seconds_per_batch=50.0, learning_rate=3e-4, evaluations=3)


def run_demo(out: Path, bits: float, console: Console) -> RunRecord:
    """Speak the corpus beside `out` and compress the embedded recogniser into `out`.

    Where it was interrupted, it goes on.

    Raises:
        InputError: `out` exists, or espeakng-loader is not installed.
    """
    if out.exists():
        raise InputError(f"{out} exists; choose another --out or delete it")
    console.print("speaking a corpus with many voices (espeak-ng)")
    corpus = speak_corpus(out.with_name(f"{out.name}-speech"), hours_train=SPEECH_HOURS)
    recipe = RECIPE.replaced({"bits": bits})
    resume = unfinished(out).exists()
    return compress(
        trained_recogniser(), corpus.train, corpus.dev, out, recipe, resume=resume, console=console
    )
