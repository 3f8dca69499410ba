"""Eight bits for what goes into a layer: one fixed range a tensor, found from histograms.

    code = clip(round(x / scale) + zero, 0, 255)          value = (code - zero) * scale

The range always holds 0, so that padding and silence are exact.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from sottovoce.quantization.rules import INPUT_RANGES

_CODES = 255
_BINS = 4096
_SHRINKS = torch.logspace(0.0, -2.0, 80)
_BINS_OF_ENTROPY = 256


def fake_quantize_inputs(inputs: Tensor, scale: Tensor, zero: Tensor | float) -> Tensor:
    """Inputs as 8-bit kernels see them, of any shape and in their own type."""
    return input_codes(inputs, scale, zero).sub_(zero).mul_(scale).to(inputs.dtype)


def input_codes(inputs: Tensor, scale: Tensor | float, zero: Tensor | float) -> Tensor:
    """The codes of inputs, whole numbers from 0 to 255 in floating point, of any shape."""
    return torch.round(inputs / scale).add_(zero).clamp_(0, _CODES)


def is_code(zero: Tensor) -> bool:
    """True where all values are whole numbers from 0 to 255."""
    return bool(((zero == zero.round()) & (zero >= 0) & (zero <= _CODES)).all())


@dataclass(frozen=True)
class Range:
    """Where a layer's inputs lie: `low` is at most 0, `high` at least 0, and they differ."""

    low: float
    high: float

    @property
    def scale(self) -> float:
        return (self.high - self.low) / _CODES

    @property
    def zero(self) -> int:
        """The code of 0."""
        return round(-self.low / self.scale)


@dataclass(frozen=True)
class Histogram:
    """How often a layer's inputs took which values.

    Attributes:
        range: of the least and the greatest value.
        counts: [bins], of equal width over the range, float64.
    """

    range: Range
    counts: Tensor

    @classmethod
    def over(cls, span: Range) -> Self:
        """An empty one."""
        return cls(span, torch.zeros(_BINS, dtype=torch.float64))

    def add(self, values: Tensor) -> None:
        """Count values; those outside the range are left out."""
        span = self.range
        counts = torch.histc(values.detach().float(), _BINS, span.low, span.high)
        self.counts.add_(counts.cpu())

    @property
    def centres(self) -> Tensor:
        """[bins], the values in the middle of the bins."""
        width = (self.range.high - self.range.low) / _BINS
        return self.range.low + width * (torch.arange(_BINS, dtype=torch.float64) + 0.5)

    def squared_error(self, span: Range) -> float:
        """Sum of (x - x_hat)^2 under 8 bits over `span`."""
        scale, zero = torch.tensor(span.scale), torch.tensor(float(span.zero))
        centres = self.centres  # computed at each call
        rounded = fake_quantize_inputs(centres, scale.double(), zero.double())
        return float((self.counts * (rounded - centres).square()).sum())


def max_range(histogram: Histogram) -> Range:
    """Everything that was seen."""
    return histogram.range


def percentile_range(histogram: Histogram, percent: float) -> Range:
    """The middle `percent` per cent of what was seen, as much left out above as below."""
    if percent >= 100:
        return histogram.range
    below = histogram.counts.cumsum(0) / histogram.counts.sum()
    outside = (1 - percent / 100) / 2
    centres = histogram.centres
    low = float(centres[int((below <= outside).sum())])
    high = float(centres[min(_BINS - 1, int((below < 1 - outside).sum()))])
    return _holding_zero(low, high)


def mse_range(histogram: Histogram, within: Range | None = None) -> Range:
    """The part of a range of least squared error; each end comes in on its own.

    Args:
        within: the range that is shrunk; None is everything that was seen.
    """
    return _shrunk(within or histogram.range, histogram.squared_error)


def entropy_range(histogram: Histogram) -> Range:
    """The part of the range whose rounded distribution diverges least from what was seen.

    After NVIDIA's calibration for TensorRT: what lies outside counts as the outermost bins.
    """
    return _shrunk(histogram.range, lambda span: _divergence(histogram, span))


def _shrunk(widest: Range, cost: Callable[[Range], float]) -> Range:
    """The cheapest of 80 places for the upper end, then for the lower, and once more."""
    best = widest
    for _ in range(2):
        lower, shares = best.low, _SHRINKS.tolist()
        best = min((Range(lower, widest.high * share) for share in shares), key=cost)
        upper = best.high
        best = min((Range(widest.low * share, upper) for share in shares), key=cost)
    return best


def _divergence(histogram: Histogram, span: Range) -> float:
    """KL(clipped || rounded) in nats."""
    centres = histogram.centres
    clipped = centres.clamp(span.low, span.high)
    places = ((clipped - histogram.range.low) / (histogram.range.high - histogram.range.low)) * (
        _BINS - 1
    )
    reference = torch.zeros(_BINS, dtype=torch.float64)
    reference.index_add_(0, places.long(), histogram.counts)
    inside = (centres >= span.low) & (centres <= span.high)
    codes = ((clipped - span.low) / (span.high - span.low) * (_BINS_OF_ENTROPY - 1)).round().long()
    sums = torch.zeros(_BINS_OF_ENTROPY, dtype=torch.float64)
    taken = torch.zeros(_BINS_OF_ENTROPY, dtype=torch.float64)
    seen = inside & (histogram.counts > 0)
    sums.index_add_(0, codes[inside], histogram.counts[inside])
    taken.index_add_(0, codes[seen], torch.ones(int(seen.sum()), dtype=torch.float64))
    spread = torch.where(seen, sums[codes] / taken[codes].clamp_min(1), 0.0)
    p, q = reference / reference.sum(), spread / spread.sum().clamp_min(1e-300)
    held = p > 0
    return float((p[held] * (p[held].log() - q[held].clamp_min(1e-12).log())).sum())


def _holding_zero(low: float, high: float) -> Range:
    return Range(min(low, 0.0), max(high, 0.0))


RULES: dict[str, Callable[[Histogram], Range]] = dict(
    zip(
        INPUT_RANGES,
        (
            max_range,
            lambda histogram: percentile_range(histogram, 99.99),
            mse_range,
            entropy_range,
        ),
        strict=True,
    )
)
"""The baselines: one rule for all layers."""
