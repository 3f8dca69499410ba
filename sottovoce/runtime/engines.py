"""Which runtime runs a model: by name, or the fastest that is ready."""

import importlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sottovoce.errors import InputError
from sottovoce.export.folder import is_export, read_facts, write_export
from sottovoce.models.checkpoint import load, read_processor
from sottovoce.models.families import family_of
from sottovoce.models.recogniser import best_device
from sottovoce.runtime.engine import Engine
from sottovoce.runtime.graph_engine import GraphEngine, Run
from sottovoce.speech.subwords import labels_of
from sottovoce.version import __version__

AUTO = "auto"
TORCH = "torch"


@dataclass(frozen=True)
class GraphRuntime:
    """A runtime for exported graphs.

    Attributes:
        reader: module with `read_graph`, (file, **options) -> Run.
        package: what must be installed.
        extra: of sottovoce, which installs it.
        files: target -> the file of its folder that is read; the first is what is kept for it.
        options: of the reader.
    """

    reader: str
    package: str
    extra: str
    files: Mapping[str, str]
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None

    def read(self, folder: Path, target: str) -> Run:
        """Load an exported folder's graph.

        Raises:
            InputError: the package is missing, or the graph cannot be read.
        """
        if not self.is_installed:
            raise InputError(
                f"{self.package} is not installed; pip install 'sottovoce[{self.extra}]'"
            )
        file = folder / self.files[target]
        try:
            run: Run = importlib.import_module(self.reader).read_graph(file, **self.options)
        except Exception as error:  # each runtime has its own for a damaged file
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise InputError(
                f"{self.package} cannot read {file}: {reason}; export the model again"
            ) from error
        return run


_OPENVINO = "sottovoce.runtime.openvino_runtime"
_ONNX = "sottovoce.runtime.onnx_runtime"
_GRAPHS = {"onnx": "model.onnx", "openvino": "model.xml"}
RUNTIMES = {
    "openvino": GraphRuntime(_OPENVINO, "openvino", "openvino", _GRAPHS),
    "openvino-bf16": GraphRuntime(
        _OPENVINO, "openvino", "openvino", _GRAPHS, {"precision": "bf16"}
    ),
    "onnx": GraphRuntime(_ONNX, "onnxruntime", "onnx", {"onnx": "model.onnx"}),
    "onnx-nbits": GraphRuntime(_ONNX, "onnxruntime", "onnx", {"onnx-nbits": "model.onnx"}),
}
"""By name; the first is the fastest that computes in float32 what is not in 8 bits."""
CHOICES = (AUTO, TORCH, *RUNTIMES)


def engine_of(model: str | Path, runtime: str = AUTO) -> Engine:
    """What runs a model.

    Args:
        model: a checkpoint (hub id, folder), a compressed folder or an exported one.
        runtime: one of `CHOICES`. "auto" takes what is ready: for an exported folder the fastest
            installed runtime that reads it, else PyTorch. Any other makes a graph of a folder
            that is not exported, and keeps it for the next time.

    Raises:
        InputError: the runtime is unknown, not installed or cannot run this model.
    """
    if runtime not in CHOICES:
        raise InputError(f"runtime is {runtime!r}; it must be one of {', '.join(CHOICES)}")
    if is_export(model):
        return _exported(Path(model), runtime)
    if runtime in (AUTO, TORCH):
        return load(model).to(best_device())
    return _exported(_graph_of(model, next(iter(RUNTIMES[runtime].files))), runtime)


def _exported(folder: Path, runtime: str) -> Engine:
    target, model_type, interface = read_facts(folder)
    readers = {name: one for name, one in RUNTIMES.items() if target in one.files}
    installed = [name for name, one in readers.items() if one.is_installed]
    name = (installed or list(readers))[0] if runtime == AUTO and readers else runtime
    if name not in readers:
        fitting = ", ".join(readers) or "transformers itself"
        raise InputError(f"{folder} was exported to {target}, which is run by {fitting}")
    family = family_of(model_type)
    processor = read_processor(folder, family)
    prepare = partial(family.front_end.graph_inputs, processor.feature_extractor)
    labels = labels_of(processor.tokenizer)
    return GraphEngine(name, readers[name].read(folder, target), prepare, interface, labels)


def _graph_of(model: str | Path, target: str) -> Path:
    """A kept export of the same weights."""
    recogniser = load(model)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "sottovoce" / f"{recogniser.fingerprint()}-{target}-{__version__}"
    if not is_export(folder):
        write_export(recogniser, target, folder)
    return folder
