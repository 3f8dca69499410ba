"""StableQuant (arXiv 2504.14915): 8-bit weights and inputs, ranges adapted where a layer suffers.

1. Each layer is quantized alone with the ranges of all that was seen. Those that raise the word
   error rate of the calibration speech by more than 0.25% absolute are *sensitive*.
2. For each of these a share of the inputs is clipped: of several percentiles the one of the lowest
   error rate, and within it the scale of least squared error.
3. The whole model is quantized with these ranges.

Open in the paper, decided here: a scale for every output channel of a weight, the percentiles tried
(`PERCENTILES`), and that of equal error rates the widest range is taken.
"""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from sottovoce.models.recogniser import Recogniser
from sottovoce.posttraining.layers import Layer, Quantized, rounded
from sottovoce.posttraining.sweep import FULL, Trial, word_error_rates
from sottovoce.quantizers.activations import Histogram, Range, mse_range, percentile_range
from sottovoce.speech.corpus import Corpus

PERCENTILES = (100.0, 99.99, 99.95, 99.9, 99.8, 99.5, 99.0)
SENSITIVE_ABOVE = 0.0025
_BITS = 8


def adapted_ranges(
    recogniser: Recogniser,
    layers: Mapping[str, Layer],
    histograms: Mapping[str, Histogram],
    corpus: Corpus,
    work: Path,
    console: Console,
) -> dict[str, Range]:
    """The range of every layer's inputs, those of sensitive layers clipped.

    Args:
        corpus: calibration speech with transcripts.
        work: folder where the sweeps keep what they have recognised.
    """
    weights = {name: rounded(layers[name].weight, _BITS, "max")[0] for name in histograms}
    alone = {
        name: Trial(name, Quantized(weights[name], histogram.range))
        for name, histogram in histograms.items()
    }
    rates = word_error_rates(recogniser, layers, alone, corpus, work / "sensitivity.json", console)
    full = rates.pop(FULL)
    sensitive = [name for name, rate in rates.items() if rate - full > SENSITIVE_ABOVE]
    console.print(f"{len(sensitive)} of {len(layers)} layers are sensitive: {sensitive}")
    ranges = {name: histogram.range for name, histogram in histograms.items()}
    if not sensitive:
        return ranges
    clipped = {
        (name, percent): mse_range(
            histograms[name], within=percentile_range(histograms[name], percent)
        )
        for name in sensitive
        for percent in PERCENTILES
    }
    trials = {
        f"{name} {percent}": Trial(name, Quantized(weights[name], span))
        for (name, percent), span in clipped.items()
    }
    rates = word_error_rates(recogniser, layers, trials, corpus, work / "percentiles.json", console)
    for name in sensitive:
        best = min(PERCENTILES, key=lambda percent: (rates[f"{name} {percent}"], -percent))
        console.print(f"{name}: clipped at {best}%")
        ranges[name] = clipped[name, best]
    return ranges
