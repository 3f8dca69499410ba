"""Memory: freed, kept in the process for the next update or given back to the system; or lacking.

A training update on a CPU frees and takes gigabytes of activations. The C library hands large
blocks back to the system at once, which then has to clear every page of them again: a third of an
update of wav2vec2-base (docs/decisions/0007).
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sottovoce.errors import InputError

# <malloc.h>
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4
_MMAP_MAX = 65536
_MEBIBYTE = 2**20


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Inside, freed memory stays with the process; then it goes back. Without glibc, nothing.

    Afterwards glibc's thresholds are those that it reaches by itself in a process with large
    blocks, and stay there.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        libc.mallopt(_M_MMAP_MAX, _MMAP_MAX)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * _MEBIBYTE)
        libc.mallopt(_M_TRIM_THRESHOLD, 64 * _MEBIBYTE)
        release_freed_memory()


def release_freed_memory() -> None:
    """Hands all freed memory back to the system. Without glibc, nothing."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def explain_out_of_memory(mend: str) -> Iterator[None]:
    """Inside, where memory runs out it is one sentence: with what, and what to turn."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        lacking = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not lacking and "can't allocate memory" not in str(error):
            raise
        raise InputError(f"out of memory {mend}") from error
