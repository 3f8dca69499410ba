"""8-bit weights and inputs, adapted where a layer suffers: after StableQuant, bounded and fitted.

1. Each layer is quantized alone with the range of all that was seen. Layers are ranked by how far
   the frame distributions then diverge from full precision's, on some seconds of speech.
2. The few that diverge most are recognised, each quantized alone. Those that change more than 0.25%
   of the words of the calibration speech, and more than a single one, are *sensitive*.
3. These are adapted, input to output, behind the ones that were adapted before: the range is
   clipped at a percentile, and weight and bias are fitted to the rounded inputs (`refitting`).
4. The whole model is quantized. While it changes more than that, more layers keep their inputs in
   floating point: the sensitive ones where rounding adds most relative error first, then the others
   by their divergence; 1, 2, 4, 8 of them, then all. If nothing is enough, the fewest stay that
   change the fewest words.

`stablequant` is the method as it was published; what is done otherwise here: it counts errors,
which hardly rise on speech that the recogniser was trained on while words of other speech change;
it chooses percentiles by the error rate, whose steps are coarse, and fits nothing; it has no step
4. No step takes more than `effort` allows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sottovoce.models.recogniser import Recogniser
from sottovoce.ptq.calibration import CalibrationSpeech
from sottovoce.ptq.effort import (
    FITTING_SHARE,
    FREED,
    RANKING_PASSES,
    REFITS,
    TRIED_ALONE,
    Job,
    replaying,
)
from sottovoce.ptq.layers import Layer, Quantized
from sottovoce.ptq.ranking import RANKING, rank_layers
from sottovoce.ptq.refitting import Fitted, can_be_fitted, refit_layer
from sottovoce.ptq.sweep import Change, measure_changes
from sottovoce.quantization.activations import Histogram, mse_range
from sottovoce.wording import plural

_ALONE, _ADAPTING = "recognising layers alone", "adapting layers"


def phases(seconds: float) -> dict[str, float]:
    """Return the most that each phase may compute, in seconds of speech.

    Args:
        seconds: of calibration speech.
    """
    return {
        RANKING: replaying(RANKING_PASSES * seconds),
        _ALONE: seconds * (1 + TRIED_ALONE),
        _ADAPTING: seconds * (2 * FITTING_SHARE * REFITS + len(FREED) + 1),
    }


def adapt_ranges(
    layers: Mapping[str, Layer],
    plain: Mapping[str, Quantized],
    histograms: Mapping[str, Histogram],
    speech: CalibrationSpeech,
    work: Path,
    job: Job,
    *,
    float_inputs: bool,
) -> dict[str, Quantized]:
    """Quantize every layer, and adapt the sensitive ones.

    It has seven parameters: what a sweep has been told before, and where and how it may go on.

    Args:
        plain: the weights merely rounded, inputs in floating point.
        histograms: of the inputs of every layer that is called.
        speech: its transcripts are not read.
        work: folder where the sweeps keep what they have recognised.
        float_inputs: whether step 4 may leave inputs in floating point.
    """
    recogniser = speech.recogniser
    wide = {
        name: replace(plain[name], inputs=histogram.range) for name, histogram in histograms.items()
    }
    order = rank_layers(recogniser, layers, wide, speech, job)

    def change(trials: Mapping[str, Mapping[str, Quantized]]) -> dict[str, Change]:
        kept = work / "recognised.json"
        return measure_changes(recogniser, layers, trials, speech.corpus, kept, job)

    with job.phase(_ALONE):
        alone = change({name: {name: wide[name]} for name in order[:TRIED_ALONE]})
    sensitive = [name for name in layers if name in alone and alone[name].does_harm]
    job.print(f"{len(sensitive)} of {plural(len(layers), 'layer')} sensitive: {sensitive}")
    with job.phase(_ADAPTING):
        fits = _Fits(recogniser, layers, plain, histograms, speech, job)
        fits.renew(sensitive, ())
        by_harm = sorted(sensitive, key=lambda name: -fits.made[name].harm)
        to_free = [*by_harm, *(name for name in order if name not in sensitive)]
        tries = [count for count in FREED if count < len(to_free)] + [len(to_free)]
        wholes: list[tuple[Change, dict[str, Quantized]]] = []
        before = 0
        for count in tries if float_inputs else tries[:1]:
            floating = to_free[:count]
            fits.renew(_behind(sensitive, floating[before:]), floating)
            whole = {**plain, **wide, **{name: plain[name] for name in floating}}
            whole |= fits.quantized(floating)
            (changed,) = change({f"inputs of {count} layers in floating point": whole}).values()
            wholes.append((changed, whole))
            job.print(
                f"the whole model changes {changed.errors} of "
                f"{plural(changed.words, 'word')} of the calibration speech, with inputs of "
                f"{plural(count, 'layer')} in floating point"
            )
            if not changed.does_harm:
                break
            before = count
    return min(wholes, key=lambda tried: tried[0].errors)[1]


def _behind(sensitive: Sequence[str], freed: Sequence[str]) -> Sequence[str]:
    """Sensitive layers behind the first that was freed now, which see other inputs since."""
    places = [sensitive.index(name) for name in freed if name in sensitive]
    return sensitive[min(places) + 1 :] if places else ()


class _Fits:
    """Fits of the sensitive layers, as many as there may be."""

    def __init__(
        self,
        recogniser: Recogniser,
        layers: Mapping[str, Layer],
        plain: Mapping[str, Quantized],
        histograms: Mapping[str, Histogram],
        speech: CalibrationSpeech,
        job: Job,
    ) -> None:
        self.recogniser, self.layers = recogniser, layers
        self.plain, self.histograms = plain, histograms
        self.speech, self.job = speech.sample(FITTING_SHARE * speech.seconds), job
        self.made: dict[str, Fitted] = {}
        self._left = REFITS

    def renew(self, names: Sequence[str], floating: Sequence[str]) -> None:
        """Fit layers, in this order, behind the ones before; while fits are left.

        Args:
            floating: layers whose inputs are in floating point.
        """
        for name in names[: self._left]:
            order = list(self.made)
            before = order[: order.index(name)] if name in order else order
            self.made[name] = self._fitted(name, self.quantized(floating, before))
            self.job.advance(2 * self.speech.seconds)
        self._left -= min(self._left, len(names))

    def quantized(
        self, floating: Sequence[str], names: Iterable[str] | None = None
    ) -> dict[str, Quantized]:
        """Return what the fitted layers become: all of them, or those of these names."""
        return {
            name: self.made[name].floating if name in floating else self.made[name].rounding
            for name in (self.made if names is None else names)
        }

    def _fitted(self, name: str, before: Mapping[str, Quantized]) -> Fitted:
        layer, histogram = self.layers[name], self.histograms[name]
        if not can_be_fitted(layer):
            rounding = replace(self.plain[name], inputs=mse_range(histogram))
            return Fitted(rounding, self.plain[name], 0.0)
        with self.recogniser.evaluating():
            return refit_layer(
                self.recogniser,
                self.layers,
                name,
                before,
                histogram,
                self.speech,
                len(self.speech.corpus.utterances),
            )
