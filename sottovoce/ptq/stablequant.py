"""StableQuant as it was published (arXiv 2504.14915): 8 bits everywhere, no training.

1. Each layer is quantized alone with the range of all that was seen. It is *sensitive* where the
   word error rate rises by more than 0.25% absolute.
2. For sensitive layers a percentile of the inputs is searched, layer by layer: the range of least
   squared error within it, and the percentile of the lowest word error rate with that layer alone
   quantized.
3. The whole model is quantized with these ranges; every layer's inputs have 8 bits.

What the paper leaves open and is decided here: the percentiles (its authors name 99.8% for the
convolutions 2 to 5 and 100% for all else), a scale a channel for weights, and attention's own
products, which keep floating point. What is done otherwise: only the layers whose frame
distributions diverge most are recognised alone, where the paper recognises with every layer;
and speech without transcripts is measured by the words that change against full precision.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from sottovoce.models.recogniser import Recogniser
from sottovoce.ptq.calibration import CalibrationSpeech
from sottovoce.ptq.effort import RANKING_PASSES, TRIED_ALONE, Job, replaying
from sottovoce.ptq.layers import Layer, Quantized
from sottovoce.ptq.ranking import RANKING, rank_layers
from sottovoce.ptq.sweep import FULL, changed_word_rate, transcripts
from sottovoce.quantization.activations import Histogram, Range, mse_range, percentile_range
from sottovoce.runtime.recognition import references
from sottovoce.scoring import Transcripts, score
from sottovoce.speech.corpus import Corpus
from sottovoce.wording import plural

SENSITIVE_ABOVE = 0.0025
PERCENTILES = (100.0, 99.9, 99.8, 99.5)
_ALONE, _SEARCH = "recognising layers alone", "searching percentiles"

Rise = Callable[[Transcripts, Transcripts], float]
"""What a trial's words (second) are worse by than full precision's (first)."""


def phases(seconds: float) -> dict[str, float]:
    """Return the most that each phase may compute, in seconds of speech.

    Args:
        seconds: of calibration speech.
    """
    return {
        RANKING: replaying(RANKING_PASSES * seconds),
        _ALONE: seconds * (1 + TRIED_ALONE),
        _SEARCH: seconds * TRIED_ALONE * len(PERCENTILES),
    }


def published(
    layers: Mapping[str, Layer],
    plain: Mapping[str, Quantized],
    histograms: Mapping[str, Histogram],
    speech: CalibrationSpeech,
    work: Path,
    job: Job,
) -> dict[str, Quantized]:
    """Quantize every layer.

    Args:
        plain: the weights rounded, inputs in floating point.
        histograms: of the inputs of every layer that is called.
        speech: with transcripts in every utterance, these are what counts.
        work: folder where the sweeps keep what they have recognised.
    """
    recogniser = speech.recogniser
    wide = {
        name: replace(plain[name], inputs=histogram.range) for name, histogram in histograms.items()
    }
    rise, measured = rise_of(recogniser, speech.corpus)
    job.print(f"a layer is sensitive by {measured}")
    order = rank_layers(recogniser, layers, wide, speech, job)

    def rises(trials: Mapping[str, Mapping[str, Quantized]]) -> dict[str, float]:
        kept = work / "recognised.json"
        recognised = transcripts(recogniser, layers, trials, speech.corpus, kept, job)
        return {name: rise(recognised[FULL], recognised[name]) for name in trials}

    with job.phase(_ALONE):
        alone = rises({name: {name: wide[name]} for name in order[:TRIED_ALONE]})
    sensitive = [name for name in layers if alone.get(name, 0.0) > SENSITIVE_ABOVE]
    job.print(f"{len(sensitive)} of {plural(len(layers), 'layer')} sensitive: {sensitive}")
    clipped = {
        name: {
            percent: replace(plain[name], inputs=clipped_range(histograms[name], percent))
            for percent in PERCENTILES
        }
        for name in sensitive
    }
    with job.phase(_SEARCH):
        searched = rises(
            {
                _trial(name, percent): {name: result}
                for name, by_percent in clipped.items()
                for percent, result in by_percent.items()
            }
        )
    chosen = {
        name: min(PERCENTILES, key=lambda percent: searched[_trial(name, percent)])
        for name in sensitive
    }
    for name, percent in chosen.items():
        job.print(f"{name}: {percent:g}%")
    return {**plain, **wide, **{name: clipped[name][percent] for name, percent in chosen.items()}}


def _trial(name: str, percent: float) -> str:
    return f"{name} at {percent:g}%"


def clipped_range(histogram: Histogram, percent: float) -> Range:
    """Within the middle `percent` per cent of what was seen, the range of least squared error."""
    return mse_range(histogram, percentile_range(histogram, percent))


def rise_of(recogniser: Recogniser, corpus: Corpus) -> tuple[Rise, str]:
    """How trials are measured on a corpus, and in words.

    Raises:
        InputError: transcripts have characters that the model does not know.
    """
    if not all(utterance.text for utterance in corpus.utterances):
        return lambda full, trial: changed_word_rate(full, trial).share, (
            f"the words that change: {corpus.name} has no transcripts to count errors by"
        )
    reference = references(recogniser, corpus)

    def rise(full: Transcripts, trial: Transcripts) -> float:
        return score(reference, trial).wer - score(reference, full).wer

    return rise, f"the word error rate on {corpus.name}"
