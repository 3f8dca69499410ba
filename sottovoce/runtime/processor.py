"""The processor that measurements ran on."""

import platform
from functools import cache
from pathlib import Path


@cache
def processor() -> str:
    """Its name, as Linux lists it; elsewhere what Python knows of it."""
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        for line in listed.read_text().splitlines():
            name, found, value = line.partition(":")
            if found and name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
