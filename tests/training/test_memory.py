"""What the system has to do for memory that is freed and taken again."""

import platform
import resource

import pytest
import torch

from sottovoce.training.memory import memory_kept

BYTES = 2**27


def _page_faults() -> int:
    """Of filling a large new tensor."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(BYTES, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")


def test_inside_freed_memory_is_taken_again_and_after_it_goes_back() -> None:
    fresh = _page_faults()  # how many depends on the system's page size
    with memory_kept():
        _page_faults()
        assert _page_faults() < fresh / 4
    assert _page_faults() > fresh / 2
    assert _page_faults() > fresh / 2


def test_it_ends_when_what_is_inside_fails() -> None:
    fresh = _page_faults()
    with pytest.raises(RuntimeError, match="inside"), memory_kept():
        _page_faults()
        raise RuntimeError("inside")
    assert _page_faults() > fresh / 2
    assert _page_faults() > fresh / 2
