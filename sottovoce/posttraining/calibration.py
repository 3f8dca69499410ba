"""Calibration speech: waveforms, again and again from their beginning."""

from collections.abc import Iterator

from sottovoce.errors import InputError
from sottovoce.models.recogniser import Recogniser
from sottovoce.posttraining.observing import Waveforms
from sottovoce.runtime.recognition import refuse_short
from sottovoce.speech.batching import evaluation_order
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.loading import prefetched

_SECONDS = 60.0


class CalibrationSpeech:
    """A corpus's waveforms in batches, from its beginning at every call."""

    def __init__(self, recogniser: Recogniser, corpus: Corpus) -> None:
        self.recogniser = recogniser
        self.corpus = corpus

    def __call__(self) -> Iterator[Waveforms]:
        """Raises:
        InputError: an utterance is too short for the model, or all of them are constant.
        """
        silent = True
        chosen = evaluation_order(self.corpus.utterances, _SECONDS)
        for batch in prefetched(iter(chosen), self.recogniser.sampling_rate):
            refuse_short(self.recogniser, self.corpus, batch)
            waveforms = [waveform for _, waveform in batch]
            silent = silent and all(one.min() == one.max() for one in waveforms)
            yield waveforms
        if silent:
            raise InputError(
                f"{self.corpus.name} holds no sound; calibrate with speech that is not silent"
            )
