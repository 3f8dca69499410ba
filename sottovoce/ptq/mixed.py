"""Post-training mixed precision: each matrix's width by what rounding it costs, without labels.

Every encoder matrix is rounded at every candidate width (GPTQ where its inputs can be seen); a
width's cost is the divergence of the frame distributions with that matrix alone rounded; costs add
up, and the plan of least cost within the size is found exactly.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from sottovoce.errors import prefix_errors
from sottovoce.models.recogniser import Recogniser
from sottovoce.ptq.calibration import CalibrationSpeech
from sottovoce.ptq.effort import COSTS_PASSES, Job, replaying
from sottovoce.ptq.gptq import gptq_round, inverse_factor, second_moments
from sottovoce.ptq.layers import Layer, Quantized, round_weight
from sottovoce.ptq.ranking import budgeted_divergences
from sottovoce.quantization.plan import Precision
from sottovoce.sensitivity.allocation import cheapest_widths
from sottovoce.sensitivity.rounding import cost_table, rounding_trials

_SEEING, _ROUNDING, _COSTS = "seeing what goes in", "rounding", "what each width costs"
_SECONDS_A_COLUMN = 0.004
"""Of speech, that recognising takes as long as rounding a column once."""


@torch.no_grad()
def mixed_weights(
    recogniser: Recogniser,
    layers: Mapping[str, Layer],
    speech: CalibrationSpeech,
    precisions: Mapping[float, Precision],
    bits: float,
    job: Job,
) -> dict[str, tuple[Precision, Quantized]]:
    """Encoder matrix -> its precision, and what it becomes.

    Args:
        layers: all that may be quantized; only the encoder's matrices take part here.
        precisions: what a matrix may take, by width.
        bits: nominal, at most.
    """
    shapes = recogniser.family.shapes(recogniser.model)
    matrices = {name: layers[name] for name in shapes}
    with job.phase(_SEEING):
        moments = second_moments(recogniser, matrices, speech.counting(job))
    candidates: dict[str, dict[float, Quantized]] = {}
    with job.phase(_ROUNDING):
        for name, layer in matrices.items():
            with prefix_errors(f"layer {name!r}"):
                candidates[name] = _roundings(layer.weight.detach(), precisions, moments.get(name))
            moments.pop(name, None)  # it is large
            job.advance(_rounding_seconds([shapes[name]], len(precisions)))
    with job.phase(_COSTS):
        rounded = {
            name: {width: result.weight for width, result in by_width.items()}
            for name, by_width in candidates.items()
        }
        trials = rounding_trials(matrices, rounded)
        costs = budgeted_divergences(recogniser, trials, speech, COSTS_PASSES, job)
    sizes = [rows * columns for rows, columns in shapes.values()]
    widths = cheapest_widths(cost_table(costs), sizes, tuple(precisions), bits)
    return {
        name: (precisions[width], candidates[name][width])
        for name, width in zip(matrices, widths, strict=True)
    }


def phases(recogniser: Recogniser, widths: int, seconds: float) -> dict[str, float]:
    """Return the most that each phase may compute, in seconds of speech.

    Args:
        widths: that a matrix may take.
        seconds: of calibration speech.
    """
    shapes = recogniser.family.shapes(recogniser.model).values()
    return {
        _SEEING: seconds,
        _ROUNDING: _rounding_seconds(shapes, widths),
        _COSTS: replaying(COSTS_PASSES * seconds),
    }


def _rounding_seconds(shapes: Iterable[tuple[int, int]], widths: int) -> float:
    return widths * _SECONDS_A_COLUMN * sum(columns for _, columns in shapes)


def _roundings(
    weight: Tensor, precisions: Mapping[float, Precision], moments: Tensor | None
) -> dict[float, Quantized]:
    """A matrix at every width."""
    upper = None if moments is None else inverse_factor(moments)
    return {width: _rounded(weight, precision, upper) for width, precision in precisions.items()}


def _rounded(weight: Tensor, precision: Precision, upper: Tensor | None) -> Quantized:
    plain = round_weight(weight, precision)
    if upper is None:
        return plain
    values = gptq_round(weight.flatten(1), plain.affine, precision.quantizer, upper)
    return replace(plain, weight=values.view_as(weight))
