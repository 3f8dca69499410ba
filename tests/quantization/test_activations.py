"""Eight bits for a layer's inputs."""

import numpy as np
import pytest
import torch

from sottovoce.quantization.activations import (
    RULES,
    Histogram,
    Range,
    entropy_range,
    fake_quantize_inputs,
    max_range,
    mse_range,
    percentile_range,
)


def _histogram(values: torch.Tensor) -> Histogram:
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    histogram = Histogram.over(Range(low, high))
    histogram.add(values)
    return histogram


def _bell(outliers: int = 0) -> torch.Tensor:
    values = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    values[:outliers] = 80.0
    return values


def _quantized(values: torch.Tensor, span: Range) -> torch.Tensor:
    return fake_quantize_inputs(
        values, torch.tensor([span.scale]), torch.tensor([float(span.zero)])
    )


@pytest.mark.parametrize("span", [Range(-1.0, 3.0), Range(0.0, 0.7), Range(-5.0, 0.0)])
def test_there_are_256_values_and_zero_is_one_of_them(span: Range) -> None:
    values = torch.linspace(span.low * 1.5, span.high * 1.5, 20_001)
    found = _quantized(values, span)
    assert len(found.unique()) == 256
    assert 0.0 in found
    inside = (values > span.low + span.scale) & (values < span.high - span.scale)
    assert (found - values)[inside].abs().max() <= span.scale * 0.501
    again = _quantized(found, span)
    assert torch.equal(again, found)
    assert _quantized(torch.zeros(3), span).abs().max() == 0


def test_it_agrees_with_integers() -> None:
    """As an 8-bit kernel computes: integer codes, an integer sum, one product of scales."""
    rng = np.random.default_rng(0)
    span, inputs = Range(-0.6, 2.0), rng.uniform(-1, 3, (5, 32)).astype(np.float32)
    codes = np.clip(np.round(inputs / np.float32(span.scale)) + span.zero, 0, 255).astype(np.int64)
    weights = rng.integers(-127, 128, (7, 32))
    exact = ((codes - span.zero) @ weights.T) * span.scale
    ours = _quantized(torch.from_numpy(inputs), span) @ torch.from_numpy(weights.T).float()
    np.testing.assert_allclose(ours.numpy(), exact, rtol=1e-5, atol=1e-3)


def test_a_histogram_counts_what_it_was_shown() -> None:
    values = _bell()
    histogram = _histogram(values)
    assert histogram.counts.sum() == values.numel()
    mean = float((histogram.counts * histogram.centres).sum() / histogram.counts.sum())
    assert mean == pytest.approx(float(values.mean()), abs=0.002)
    span = Range(-2.0, 2.5)
    exact = (_quantized(values, span) - values).square().sum()
    assert histogram.squared_error(span) == pytest.approx(float(exact), rel=0.01)


def test_percentiles_leave_the_tails_out() -> None:
    values = _bell(outliers=100)
    histogram = _histogram(values)
    assert percentile_range(histogram, 100) == max_range(histogram) == histogram.range
    spans = [percentile_range(histogram, percent) for percent in (99.9, 99.0, 90.0)]
    highs = [span.high for span in spans]
    assert highs == sorted(highs, reverse=True)
    assert highs[0] < 6
    assert spans[2].high == pytest.approx(1.645, abs=0.05)
    assert spans[2].low == pytest.approx(-1.645, abs=0.05)


def test_percentiles_of_one_sided_inputs_hold_zero() -> None:
    span = percentile_range(_histogram(_bell().abs() + 1), 99.0)
    assert span.low == 0.0
    assert span.high > 2


def test_entropy_clips_a_few_values_far_outside() -> None:
    clipped, plain = (entropy_range(_histogram(_bell(outliers=count))) for count in (3, 0))
    assert 2.5 < clipped.high < 20
    assert clipped.low < -2.5
    assert plain.high > 2.5


def test_least_squares_is_least() -> None:
    """Of all ranges that the rules find, and it gives up a far value where that is cheaper."""
    values = _bell()
    values[:2] = 8.0
    many = values.repeat(20)
    many[40:] = values[2:].repeat(20)[: len(many) - 40]
    many[2:40] = 0.0
    histogram = _histogram(many)
    best = mse_range(histogram)
    assert best.high < 7
    assert best.low < -3
    for name, rule in RULES.items():
        assert histogram.squared_error(best) <= 1.001 * histogram.squared_error(rule(histogram)), (
            name
        )
    within = percentile_range(histogram, 99.0)
    assert mse_range(histogram, within=within).high <= within.high
