"""The worth of a test of a compressed recogniser, estimated before there is one.

    detectable = (z_(1 - alpha / 2) + z_0.80) sqrt(q / errors of A)        q = n sd^2 / errors of A

is MAPSSWE's smallest detectable loss with the variance counted for each error of A. Only q is
unknown beforehand, and it varies little.
"""

import math
from pathlib import Path

from sottovoce.scoring.comparison import FEWEST_SEGMENTS, rounded_up
from sottovoce.scoring.mapsswe import deviations_away
from sottovoce.scoring.transcripts import Transcripts
from sottovoce.scoring.wer import Score

LEAST_VARIANCE = 0.25
"""q: 0.26 to 0.52 over the 20 tests of `sizes.json` and `plans.json` in `benchmarks/results`, more
where the compressed model was trained for longer."""


def empty_output_warnings(score: Score, model: str | Path, speech: str) -> tuple[str, ...]:
    """A sentence, where a start point recognises no more than silence would; else none."""
    if score.wer < 1:
        return ()
    return (
        f"{model} recognises nothing of {speech} (WER {score.wer:.2%}), so it has nothing to lose; "
        "fine-tune it first (sottovoce finetune), or give speech of its language",
    )


def silence_warnings(score: Score, model: str) -> tuple[str, ...]:
    """A sentence, where a model that was trained writes nothing of any utterance; else none."""
    if any(words for _, words in score.hypothesis.utterances.values()):
        return ()
    return (
        f"every hypothesis of {model} is empty: the training ended with CTC's blank alone, as it "
        "begins; train for longer (--epochs, --steps), or with another --learning-rate",
    )


def wordless_warnings(full: Transcripts, model: str | Path, speech: str) -> tuple[str, ...]:
    """A sentence, where a model writes nothing of the speech that it calibrates on; else none."""
    if any(words for _, words in full.utterances.values()):
        return ()
    return (
        f"{model} recognises nothing of {speech}, so it cannot be seen there what quantizing "
        "changes; calibrate with speech that it recognises",
    )


def fewest_errors(alpha: float, detectable: float) -> int:
    """Errors of A without which the verdict will hardly be "lossless".

    Args:
        alpha, detectable: as in `matched_pairs`.
    """
    needed = LEAST_VARIANCE * (deviations_away(alpha) / detectable) ** 2
    return max(FEWEST_SEGMENTS, math.ceil(needed))


def too_few_words_warnings(
    baseline: Score, speech: str, alpha: float = 0.05, detectable: float = 0.10
) -> tuple[str, ...]:
    """A sentence, where the baseline errs too little on this speech for a "lossless"; else none.

    Args:
        speech: what the evaluation speech is called.
    """
    needed = fewest_errors(alpha, detectable)
    if baseline.errors >= needed:
        return ()
    errors = f"{speech} has {baseline.errors:,} errors of the input checkpoint"
    if baseline.errors == 0:
        return (f"{errors}, so no relative loss can be told; add speech that it finds harder",)
    words = rounded_up(math.ceil(baseline.words * needed / baseline.errors))
    return (
        f"{errors}; by experience {needed:,} are the fewest to detect a loss of {detectable:.1%} "
        f"by, so the verdict will hardly be lossless: it takes about {words:,} words of such "
        f"speech at least (these are {baseline.words:,})",
    )
