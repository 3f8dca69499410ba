"""What the system has to do for memory that is freed and taken again."""

import platform
import resource
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

from sottovoce.memory import keep_freed_memory, release_freed_memory

BYTES = 2**27


def _page_faults() -> int:
    """Of filling a large new tensor."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(BYTES, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


# Before anything kept memory; how many depends on the system's page size.
FRESH = _page_faults()

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")


def _faults_inside_and_after() -> tuple[int, int]:
    with keep_freed_memory():
        # The first takes new memory, and where a small block cut into that, so does the second.
        inside = [_page_faults() for _ in range(4)]
    return inside[-1], _page_faults()


def test_inside_freed_memory_is_taken_again_and_after_it_goes_back() -> None:
    """In a fresh process: in one that has loaded much, the heap may have no room to grow."""
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
        inside, after = fresh.submit(_faults_inside_and_after).result()
    assert inside < FRESH / 4
    assert after > FRESH / 2


def test_it_ends_when_what_is_inside_fails() -> None:
    with pytest.raises(RuntimeError, match="inside"), keep_freed_memory():
        _page_faults()
        raise RuntimeError("inside")
    assert _page_faults() > FRESH / 2


def test_what_was_freed_between_blocks_in_use_is_given_back() -> None:
    blocks = [torch.ones(BYTES // 2**12, dtype=torch.uint8) for _ in range(2**12)]
    held = blocks[::64]
    full = _resident()
    del blocks
    release_freed_memory()
    assert _resident() < full - BYTES / 2
    assert all(one.all() for one in held)


def _resident() -> int:
    """Bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
