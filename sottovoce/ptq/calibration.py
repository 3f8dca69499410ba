"""Calibration speech: waveforms, again and again from their beginning."""

from collections.abc import Iterator

from sottovoce.errors import InputError
from sottovoce.models.recogniser import Recogniser
from sottovoce.ptq.effort import Job
from sottovoce.ptq.observing import Waveforms
from sottovoce.runtime.recognition import recognise, refuse_short
from sottovoce.scoring import Transcripts
from sottovoce.speech.batching import evaluation_order
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.loading import prefetched
from sottovoce.speech.sampling import sample, speakers
from sottovoce.wording import plural

_SECONDS = 60.0


class CalibrationSpeech:
    """A corpus's waveforms in batches, from its beginning at every call."""

    def __init__(self, recogniser: Recogniser, corpus: Corpus, job: Job | None = None) -> None:
        """
        Args:
            job: advances with every batch; None where something else advances it.
        """
        self.recogniser = recogniser
        self.corpus = corpus
        self.job = job

    @property
    def seconds(self) -> float:
        return 3600 * self.corpus.hours

    def sample(self, seconds: float) -> "CalibrationSpeech":
        """At most so much of it, to be counted by whoever computes with it."""
        return CalibrationSpeech(self.recogniser, sample(self.corpus, seconds / 60))

    def counting(self, job: Job) -> "CalibrationSpeech":
        """The same, which advances a job."""
        return CalibrationSpeech(self.recogniser, self.corpus, job)

    def __call__(self) -> Iterator[Waveforms]:
        """Raises:
        InputError: an utterance is too short for the model, or all of them are constant.
        """
        silent = True
        chosen = evaluation_order(self.corpus.utterances, _SECONDS)
        for batch in prefetched(iter(chosen), self.recogniser.sampling_rate):
            refuse_short(self.recogniser, self.corpus, batch)
            waveforms = [waveform for _, waveform in batch]
            silent = silent and all(waveform.min() == waveform.max() for waveform in waveforms)
            yield waveforms
            if self.job is not None:
                self.job.advance(sum(utterance.duration for utterance, _ in batch))
        if silent:
            raise InputError(
                f"{self.corpus.name} holds no sound; calibrate with speech that is not silent"
            )


def transcripts(recogniser: Recogniser, speech: CalibrationSpeech, job: Job) -> Transcripts:
    """Recognise calibration speech."""
    recognised = recognise(recogniser, speech.corpus).transcripts
    job.advance(speech.seconds)
    return recognised


def sample_note(corpus: Corpus, chosen: Corpus) -> tuple[str, ...]:
    """A sentence on what of a corpus calibrates; none where all of it does."""
    if chosen is corpus:
        return ()
    known = speakers(chosen)
    return (
        f"Calibrated on {len(chosen.utterances):,} of "
        f"{plural(len(corpus.utterances), 'utterance')}, {60 * chosen.hours:.1f} of "
        f"{60 * corpus.hours:.1f} minutes"
        + (f", of {known} of {plural(speakers(corpus), 'speaker')}" if known else "")
        + "; --calibration-minutes takes more.",
    )
