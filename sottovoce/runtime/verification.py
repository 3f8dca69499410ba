"""A graph is compared, on the machine that runs it, with what it should compute.

Once for a graph, a runtime, its version and a processor: an answer that was right is remembered
under `$XDG_CACHE_HOME/sottovoce/verified`.
"""

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sottovoce.errors import InputError
from sottovoce.exporters.probe import PROBE_FILE, Probe
from sottovoce.files import write_text
from sottovoce.runtime.cache import cache_folder
from sottovoce.runtime.engine import Engine
from sottovoce.runtime.processor import ISA_LIMIT, processor


class WrongLogits(InputError):  # noqa: N818 - what went wrong, not that something did
    """A runtime computes something else than the model on this processor."""


def verify(engine: Engine, folder: Path, runtime: str, package: str, coarse: float = 0.0) -> float:
    """Run a graph on its probe, where that has not been done here before.

    Args:
        folder: the exported one, which holds the probe.
        runtime: its name.
        package: that provides it.
        coarse: the least tolerance, for a runtime that rounds more than the model.

    Returns:
        The difference, as `Probe.difference` counts.

    Raises:
        WrongLogits: it is more than rounding explains.
        InputError: the folder has no probe.
    """
    remembered = cache_folder() / "verified" / f"{_key(folder, runtime, package)}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        return float(json.loads(remembered.read_text())["difference"])
    probe = Probe.read(folder)
    difference = probe.difference(engine)
    if not difference <= max(probe.tolerance, coarse):
        raise WrongLogits(_sentence(folder, runtime, package, difference))
    with suppress(InputError, OSError):  # nothing is lost but the half second
        remembered.parent.mkdir(parents=True, exist_ok=True)
        write_text(remembered, json.dumps({"difference": difference}))
    return difference


def _sentence(folder: Path, runtime: str, package: str, difference: float) -> str:
    older = (
        f", or set {ISA_LIMIT}=AVX512_CORE_VNNI (or AVX2), which avoids a faulty kernel"
        if package == "openvino"
        else ""
    )
    return (
        f"{runtime} ({package} {_version(package)}) computes other logits than the model on this "
        f"processor, by {difference:.0%} of their size: {folder} on {processor()}; choose another "
        f"--runtime, or run the folder that it was exported from with --runtime torch{older}"
    )


def _key(folder: Path, runtime: str, package: str) -> str:
    digest = hashlib.sha256(f"{runtime} {package} {_version(package)} {processor()}".encode())
    for file in _graph_files(folder):
        facts = file.stat()
        digest.update(f" {file.name} {facts.st_size} {facts.st_mtime_ns}".encode())
    with suppress(OSError):
        digest.update((folder / PROBE_FILE).read_bytes())
    return digest.hexdigest()[:32]


def _graph_files(folder: Path) -> Iterable[Path]:
    return sorted(file for file in folder.glob("model.*") if file.is_file())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
