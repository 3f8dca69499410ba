"""Which runtime runs a model: by name, or the fastest that is ready."""

import copy
import hashlib
import importlib
import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from transformers import AutoModelForCTC, PreTrainedModel

from sottovoce.artifact.packed_model import plan_of
from sottovoce.config.decoding import Decoding
from sottovoce.errors import InputError, prefix_errors
from sottovoce.exporters.folder import read_facts, write_export
from sottovoce.exporters.probe import ROUNDED, Probe
from sottovoce.loading import is_export, load, read_processor
from sottovoce.models.families import family_of
from sottovoce.models.recogniser import Recogniser, best_device
from sottovoce.models.weight_files import check_indices
from sottovoce.runtime.cache import cache_folder
from sottovoce.runtime.choices import AUTO, TORCH, check_runtime
from sottovoce.runtime.compiled_torch import compile_recogniser, precision_on
from sottovoce.runtime.engine import Engine
from sottovoce.runtime.graph_engine import GraphEngine, Run
from sottovoce.runtime.verification import WrongLogits, verify
from sottovoce.speech.subwords import labels_of
from sottovoce.version import __version__
from sottovoce.wording import printable

_MENDS = {
    "read": "export the model again",
    "run": "see that there is memory for the longest utterance, else export the model again",
}


@dataclass(frozen=True)
class GraphRuntime:
    """A runtime for exported graphs.

    Attributes:
        reader: module and function, (file) -> Run.
        package: what must be installed.
        extra: of sottovoce, which installs it.
        files: target -> the file of its folder that is read; the first is what is kept for it.
        coarse: how far its logits may be from the model's though that rounds nothing.
    """

    reader: str
    package: str
    extra: str
    files: Mapping[str, str]
    coarse: float = 0.0

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None

    def check(self) -> None:
        """Raises InputError where the package is missing."""
        if not self.is_installed:
            raise InputError(
                f"{self.package} is not installed; pip install 'sottovoce[{self.extra}]'"
            )

    def read(self, folder: Path, target: str) -> Run:
        """Load an exported folder's graph.

        Raises:
            InputError: the package is missing, or the graph cannot be read. What is returned
                raises one too, where the graph cannot be run.
        """
        self.check()
        file = folder / self.files[target]
        with self._failing_in_a_sentence("read", file):
            module, function = self.reader.rsplit(".", 1)
            graph: Run = getattr(importlib.import_module(module), function)(file)

        def run(inputs: np.ndarray) -> np.ndarray:
            with self._failing_in_a_sentence("run", file):
                return graph(inputs)

        return run

    @contextmanager
    def _failing_in_a_sentence(self, doing: str, file: Path) -> Iterator[None]:
        """Inside, whatever goes wrong: each runtime has its own errors."""
        try:
            yield
        except Exception as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise InputError(
                f"{self.package} cannot {doing} {file}: {reason}; {_MENDS[doing]}"
            ) from error


_OPENVINO = "sottovoce.runtime.openvino_runtime"
_ONNX = "sottovoce.runtime.onnx_runtime.read_graph"
_GRAPHS = {"onnx": "model.onnx", "openvino": "model.xml"}
RUNTIMES = {
    "openvino": GraphRuntime(f"{_OPENVINO}.read_float32", "openvino", "openvino", _GRAPHS),
    "onnx": GraphRuntime(_ONNX, "onnxruntime", "onnx", {"onnx": "model.onnx"}),
    "onnx-nbits": GraphRuntime(_ONNX, "onnxruntime", "onnx", {"onnx-nbits": "model.onnx"}),
    "openvino-bf16": GraphRuntime(
        f"{_OPENVINO}.read_bfloat16", "openvino", "openvino", _GRAPHS, coarse=ROUNDED
    ),
}
"""By name; of those that compute in float32 what has no 8 bits, the fastest first."""
IN_TORCH: Mapping[str, Callable[[Recogniser], Engine]] = {
    TORCH: lambda recogniser: recogniser.to(best_device()),
    "torch-compiled": lambda recogniser: compiled_and_verified(recogniser),  # noqa: PLW0108
}
"""What PyTorch makes of a recogniser that was just read."""


def engine_of(model: str | Path, runtime: str = AUTO, decoding: Decoding | None = None) -> Engine:
    """What runs a model.

    Args:
        model: a checkpoint (hub id, folder), a compressed folder or an exported one.
        runtime: one of `CHOICES`. "auto" takes what is ready: for an exported folder the fastest
            installed runtime that reads it, else PyTorch. Any other than PyTorch makes a graph
            of a folder that is not exported, and keeps it for the next time.
        decoding: how an attention decoder writes; None is as the checkpoint says.

    Returns:
        An engine whose logits were compared with the model's on this processor. Where those of the
        fastest runtime are others, "auto" takes the next one and says so on standard error.

    Raises:
        InputError: the runtime is unknown, not installed, cannot run this model, or computes
            something else.
    """
    check_runtime(runtime)
    if is_export(model):
        return _exported(Path(model), runtime)
    in_torch = IN_TORCH.get(TORCH if runtime == AUTO else runtime)
    if in_torch is not None:
        return in_torch(load(model, decoding))
    RUNTIMES[runtime].check()
    recogniser, target = load(model, decoding), next(iter(RUNTIMES[runtime].files))
    folder = _graph_of(recogniser, target)
    try:
        return _exported(folder, runtime)
    except WrongLogits:
        raise
    except InputError:  # what was kept is damaged
        shutil.rmtree(folder)
        return _exported(_graph_of(recogniser, target), runtime)


def _exported(folder: Path, runtime: str) -> Engine:
    target, model_type, interface = read_facts(folder)
    family = family_of(model_type)
    processor = read_processor(folder, family)
    readers = {name: one for name, one in RUNTIMES.items() if target in one.files}
    if not readers and runtime in (AUTO, TORCH):
        return Recogniser(_in_transformers(folder), processor, family)
    installed = [name for name, one in readers.items() if one.is_installed]
    names = (installed or list(readers)) if runtime == AUTO else [runtime]
    if names[0] not in readers:
        fitting = ", ".join(readers or [TORCH])
        raise InputError(f"{folder} was exported to {target}, which is run by {fitting}")
    prepare = partial(family.front_end.graph_inputs, processor.feature_extractor)
    with prefix_errors(str(folder)):
        labels = labels_of(processor.tokenizer)
    for name in names:
        reader = readers[name]
        engine = GraphEngine(name, reader.read(folder, target), prepare, interface, labels)
        try:
            verify(engine, folder, name, reader.package, reader.coarse)
        except WrongLogits as error:
            if name == names[-1]:
                raise
            print(printable(f"warning: {error}; trying the next runtime"), file=sys.stderr)
        else:
            break
    return engine


def compiled_and_verified(recogniser: Recogniser) -> Engine:
    """Compiled, and compared with what it was compiled from.

    Raises:
        WrongLogits: it computes something else.
    """
    device = best_device()
    probe = Probe.of(recogniser.to(device))
    coarse = ROUNDED if precision_on(device) != torch.float32 else 0.0
    engine = compile_recogniser(recogniser, device)
    difference = probe.difference(engine)
    if not difference <= max(probe.tolerance, coarse):
        raise WrongLogits(
            f"compiled, the model computes other logits on this {device.type} device, by "
            f"{difference:.0%} of their size; use --runtime torch"
        )
    return engine


def _in_transformers(folder: Path) -> PreTrainedModel:
    """What was exported to transformers itself."""
    with prefix_errors(str(folder)):
        check_indices(folder)
    try:
        return AutoModelForCTC.from_pretrained(folder, trust_remote_code=False).eval()
    except Exception as error:  # whichever part of transformers comes upon what is wrong
        reason = next(iter(str(error).splitlines()), repr(error))
        raise InputError(f"transformers cannot read {folder}: {reason}; export it again") from error


def _graph_of(recogniser: Recogniser, target: str) -> Path:
    """A kept export of the same recogniser: weights, architecture, plan and processor."""
    digest = hashlib.sha256(recogniser.fingerprint().encode())
    digest.update(json.dumps(plan_of(recogniser.model).to_json()).encode())
    with TemporaryDirectory() as folder:
        config = copy.deepcopy(recogniser.model.config)
        config.quantization_config = {}  # the plan, which is in the digest already
        config.save_pretrained(folder)
        recogniser.processor.save_pretrained(folder)
        for file in sorted(Path(folder).iterdir()):
            digest.update(file.read_bytes())
    folder_of_graph = cache_folder() / f"{digest.hexdigest()[:32]}-{target}-{__version__}"
    if not is_export(folder_of_graph):
        try:
            write_export(recogniser, target, folder_of_graph)
        except InputError:
            if not is_export(folder_of_graph):  # else: another process was faster
                raise
    return folder_of_graph
