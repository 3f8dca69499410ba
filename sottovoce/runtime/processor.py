"""Which processor this is, and which instructions multiply 8-bit numbers on it."""

import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ISA_LIMIT = "ONEDNN_MAX_CPU_ISA"
"""Environment variable: oneDNN, and OpenVINO with it, compute as an older processor would."""
_INT8_PATHS = ("amx_int8", "avx512_vnni", "avx_vnni", "avx512bw", "avx2", "i8mm", "asimddp")
"""Flags of /proc/cpuinfo, the fastest way first."""


@dataclass(frozen=True)
class Processor:
    """A CPU as far as 8-bit arithmetic depends on it.

    Attributes:
        name: as its maker calls it.
        int8: the flag of the fastest instructions for 8-bit products, such as "avx512_vnni";
            "unknown" where the system does not tell.
        limit: what `ONEDNN_MAX_CPU_ISA` is set to, if it is.
    """

    name: str
    int8: str
    limit: str | None = None

    def __str__(self) -> str:
        limited = f", {ISA_LIMIT}={self.limit}" if self.limit else ""
        return f"{self.name} (int8: {self.int8}{limited})"


def processor() -> Processor:
    """The CPU that this runs on."""
    name, flags = _cpuinfo()
    int8 = next((flag for flag in _INT8_PATHS if flag in flags), "unknown")
    return Processor(name, int8, os.environ.get(ISA_LIMIT) or None)


@cache
def _cpuinfo() -> tuple[str, frozenset[str]]:
    """Name and flags of the first core."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    fields: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name") or platform.processor() or platform.machine()
    return name, frozenset((fields.get("flags") or fields.get("Features") or "").split())
