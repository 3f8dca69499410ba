"""StableQuant (arXiv 2504.14915): 8-bit weights and inputs, adapted where a layer suffers.

1. Each layer is quantized alone with the range of all that was seen. Those that change more than
   0.25% of the words of the calibration speech are *sensitive*.
2. These are adapted, input to output, behind the ones that were adapted before: the range is
   clipped at a percentile, and weight and bias are fitted to the rounded inputs (`refitting`).
3. The whole model is quantized. While it changes more than 0.25% of the words, the sensitive layer
   where rounding the inputs adds most relative error keeps them in floating point, and the layers
   behind it are adapted anew.

What the paper does otherwise: it counts errors, which hardly rise on speech that the recogniser was
trained on while words of other speech change; it chooses percentiles in step 2 by the error
rate, whose steps are coarse, and fits nothing; and it has no step 3.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import track

from sottovoce.models.recogniser import Recogniser
from sottovoce.posttraining.layers import Layer, Quantized
from sottovoce.posttraining.observing import Waveforms
from sottovoce.posttraining.refitting import Fitted, can_be_fitted, refitted
from sottovoce.posttraining.sweep import CHANGES_AT_MOST, changes
from sottovoce.quantizers.activations import Histogram, mse_range
from sottovoce.speech.corpus import Corpus
from sottovoce.wording import counted

SENSITIVE_ABOVE = 0.0025
_WHOLE = "the whole model"


def adapted(
    recogniser: Recogniser,
    layers: Mapping[str, Layer],
    plain: Mapping[str, Quantized],
    histograms: Mapping[str, Histogram],
    batches: Callable[[], Iterator[Waveforms]],
    corpus: Corpus,
    work: Path,
    console: Console,
    *,
    float_inputs: bool,
) -> dict[str, Quantized]:
    """Every layer quantized, sensitive ones adapted.

    Args:
        plain: the weights merely rounded, inputs in floating point.
        histograms: of the inputs of every layer that is called.
        batches: the waveforms of `corpus` from its beginning, at each call.
        corpus: calibration speech; its transcripts are not read.
        work: folder where the sweeps keep what they have recognised.
        float_inputs: whether step 3 may leave inputs in floating point.
    """
    wide = {name: replace(plain[name], inputs=one.range) for name, one in histograms.items()}
    alone = {name: {name: one} for name, one in wide.items()}
    found = changes(recogniser, layers, alone, corpus, work / "alone.json", console)
    sensitive = [name for name in alone if found[name] > SENSITIVE_ABOVE]
    console.print(f"{len(sensitive)} of {counted(len(layers), 'layer')} sensitive: {sensitive}")

    harms: dict[str, float] = {}
    made: dict[str, Quantized] = {}
    floating: set[str] = set()
    while True:
        for name in track(sensitive, "fitting sensitive layers", console=console):
            if name not in made:
                fitted = _fitted(recogniser, layers, name, made, plain, histograms, batches, corpus)
                harms[name] = fitted.harm
                made[name] = fitted.floating if name in floating else fitted.rounding
        whole = {**plain, **wide, **made}
        kept = work / f"whole-{len(floating)}.json"
        changed = changes(recogniser, layers, {_WHOLE: whole}, corpus, kept, console)[_WHOLE]
        console.print(
            f"the whole model changes {100 * changed:.2f}% of the words of the calibration speech"
        )
        rest = [name for name in sensitive if name not in floating]
        if changed <= CHANGES_AT_MOST or not rest or not float_inputs:
            return whole
        worst = max(rest, key=harms.__getitem__)
        console.print(f"{worst}: inputs stay in floating point")
        floating.add(worst)
        for name in sensitive[sensitive.index(worst) :]:  # those behind it see other inputs now
            del made[name]


def _fitted(
    recogniser: Recogniser,
    layers: Mapping[str, Layer],
    name: str,
    before: Mapping[str, Quantized],
    plain: Mapping[str, Quantized],
    histograms: Mapping[str, Histogram],
    batches: Callable[[], Iterator[Waveforms]],
    corpus: Corpus,
) -> Fitted:
    if not can_be_fitted(layers[name]):
        return Fitted(replace(plain[name], inputs=mse_range(histograms[name])), plain[name], 0.0)
    with recogniser.evaluating():
        return refitted(
            *(recogniser, layers, name, before, histograms[name], batches, len(corpus.utterances))
        )
