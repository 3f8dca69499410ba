"""What a training begins with, read and checked before anything is run."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from rich.console import Console

from sottovoce.loading import load_checkpoint
from sottovoce.models.recogniser import Recogniser
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus, SpeechPath
from sottovoce.training.batch import TrainingSpeech


@dataclass(frozen=True)
class Prepared:
    """A start point, and the speech that it is trained and measured on.

    Attributes:
        source: the checkpoint, as it was given.
        recogniser: the start point. A compression trains copies of it.
        evaluation: speech that results are measured on.
    """

    source: str | Path
    recogniser: Recogniser
    speech: TrainingSpeech
    evaluation: Corpus
    console: Console

    @classmethod
    def read(
        cls,
        source: str | Path,
        train_on: SpeechPath,
        evaluate_on: SpeechPath | Corpus,
        console: Console,
        *,
        transcribed: bool,
    ) -> Self:
        """Read a checkpoint with its head, and two corpora.

        Args:
            evaluate_on: a corpus, or where it is.
            transcribed: whether the training speech's transcripts are used.

        Raises:
            InputError: one of them cannot be used.
        """
        recogniser = load_checkpoint(source)
        evaluation = evaluate_on if isinstance(evaluate_on, Corpus) else read_corpus(evaluate_on)
        corpus = read_corpus(train_on, transcribed=transcribed)
        speech = TrainingSpeech(corpus, recogniser, transcribed=transcribed)
        return cls(source, recogniser, speech, evaluation, console)

    @cached_property
    def inputs(self) -> dict[str, str]:
        """A fingerprint of each."""
        return {
            "model": self.recogniser.fingerprint(),
            "training speech": self.speech.corpus.fingerprint,
            "evaluation speech": self.evaluation.fingerprint,
        }


def calibrated_inputs(
    recogniser: Recogniser, calibration: Corpus, evaluation: Corpus
) -> dict[str, str]:
    """A fingerprint of each thing that a run without training reads."""
    return {
        "model": recogniser.fingerprint(),
        "calibration speech": calibration.fingerprint,
        "evaluation speech": evaluation.fingerprint,
    }
