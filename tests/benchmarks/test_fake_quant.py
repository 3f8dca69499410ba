import pytest
import torch

from benchmarks.fake_quant.run import PRECISIONS, eager, measured, tiles
from sottovoce.quantization.affine import Affine
from sottovoce.quantization.plan import Precision
from sottovoce.quantization.ranges import initial_affine


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda one: f"{one.grid}-{one.scale_per}")
def test_both_ways_compute_the_same(precision: Precision) -> None:
    weight = torch.randn(6, 96, generator=torch.Generator().manual_seed(0)).requires_grad_()
    start = initial_affine(weight, precision.quantizer, "lsq")
    offset = None if start.offset is None else start.offset.requires_grad_()
    affine = Affine(start.scale.requires_grad_(), offset)
    leaves = [one for one in (weight, affine.scale, affine.offset) if one is not None]
    found = [way(weight, affine, precision.quantizer) for way in (eager, tiles)]
    torch.testing.assert_close(*found)
    gradients = [torch.autograd.grad(one.square().sum(), leaves) for one in found]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.slow
def test_bytes_are_those_of_weights_scales_and_offsets() -> None:
    row = measured([(4, 128)], Precision(2, "asymmetric", "block", 64), rounds=1)
    assert row["weights"] == 512
    assert row["bytes"] == {"forward": 4 * (2 * 512 + 16), "backward": 4 * (3 * 512 + 2 * 16)}
    assert all(seconds > 0 for parts in row["seconds"].values() for seconds in parts.values())
