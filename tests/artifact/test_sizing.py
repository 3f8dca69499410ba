"""The compression ratios of P1's tables, from files on disk."""

import pytest
import torch

from benchmarks.bytes_on_disk.run import PUBLISHED, build, measure


def _agrees_with_the_paper(shape: str) -> None:
    torch.manual_seed(0)
    published = PUBLISHED[shape]
    rows = list(measure(build(shape), shape, published))
    assert [row.target_bits for row in rows] == list(published)
    for row in rows:
        assert row.nominal_bits == pytest.approx(row.target_bits, abs=0.01)
        assert row.ratio == pytest.approx(published[row.target_bits], rel=0.01)


def test_wav2vec2_base_has_the_published_ratios() -> None:
    _agrees_with_the_paper("wav2vec2-base")


@pytest.mark.slow
def test_hubert_large_has_the_published_ratios() -> None:
    _agrees_with_the_paper("hubert-large")
