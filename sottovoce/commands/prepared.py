"""What a training begins with, read and checked before anything is run."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from rich.console import Console

from sottovoce.config.decoding import Decoding
from sottovoce.config.recipe import Recipe
from sottovoce.loading import load_checkpoint
from sottovoce.models.recogniser import Recogniser
from sottovoce.ptq.calibration import CalibrationSpeech
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus, SpeechPath
from sottovoce.speech.overlap import overlap_warnings
from sottovoce.speech.sampling import sample
from sottovoce.training.batch import TrainingSpeech

MEASURED_ON_CALIBRATION = (
    "Measured on the calibration speech itself; give --dev for speech that chose nothing."
)


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
        unlabelled: bool | None,
        decoding: Decoding | None = None,
    ) -> Self:
        """Read a checkpoint with its head, and two corpora.

        Args:
            evaluate_on: a corpus, or where it is.
            unlabelled: whether the training speech's transcripts are left aside; None where the
                head would rather write its own.
            decoding: how an attention decoder writes.

        Raises:
            InputError: one of them cannot be used.
        """
        recogniser = load_checkpoint(source, decoding)
        transcribed = not (recogniser.head.teaches_itself if unlabelled is None else unlabelled)
        evaluation = evaluate_on if isinstance(evaluate_on, Corpus) else read_corpus(evaluate_on)
        corpus = read_corpus(train_on, transcribed=transcribed)
        speech = TrainingSpeech(corpus, recogniser, transcribed=transcribed)
        return cls(source, recogniser, speech, evaluation, console)

    def resolved(self, recipe: Recipe) -> Recipe:
        """The recipe with what it leaves to the head.

        Raises:
            InputError: it needs transcripts, and none are used.
        """
        unlabelled = not self.speech.transcribed
        if unlabelled and not self.recogniser.head.teaches_itself:
            recipe.refuse_without_transcripts()
        return recipe.replaced({"unlabelled": unlabelled})

    @cached_property
    def inputs(self) -> dict[str, str]:
        """A fingerprint of each."""
        return {
            "model": self.recogniser.fingerprint(),
            "training speech": self.speech.corpus.fingerprint,
            "evaluation speech": self.evaluation.fingerprint,
        }


@dataclass(frozen=True)
class Calibrated:
    """What a run without training begins with.

    Attributes:
        minutes: of the calibration speech, at most.
        evaluation: speech that results are measured on; the calibration speech itself where
            nothing else was given.
    """

    source: str | Path
    recogniser: Recogniser
    calibration: Corpus
    minutes: float
    evaluation: Corpus

    @property
    def speech(self) -> CalibrationSpeech:
        """The part of the calibration speech that is used."""
        return CalibrationSpeech(self.recogniser, sample(self.calibration, self.minutes))

    @cached_property
    def inputs(self) -> dict[str, str]:
        """A fingerprint of each thing that is read."""
        return {
            "model": self.recogniser.fingerprint(),
            "calibration speech": self.calibration.fingerprint,
            "evaluation speech": self.evaluation.fingerprint,
        }

    @property
    def overlap_notes(self) -> tuple[str, ...]:
        """A note, where what is measured on has chosen the ranges too; else none."""
        if self.evaluation is self.calibration:
            return (MEASURED_ON_CALIBRATION,)
        return overlap_warnings(self.calibration, self.evaluation)
