"""Graphs that several tests read, traced once for all of them.

Tracing a tiny model takes as long as hundreds of other tests. What is traced depends on nothing but
the recogniser, so its graph lies in a folder that all processes of a test run share.
"""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import onnx
import onnx_ir as ir
import torch
from filelock import FileLock

from sottovoce.artifact.packed_model import plan_of
from sottovoce.models.recogniser import Recogniser

Trace = Callable[[Recogniser], ir.Model]


def traced_once(trace: Trace, folder: Path) -> Trace:
    """`trace`, reading from the folder the graphs of recognisers that were traced before."""

    def read_or_trace(recogniser: Recogniser) -> ir.Model:
        file = folder / f"{_digest(recogniser)}.onnx"
        with FileLock(file.with_suffix(".lock")):
            if not file.exists():
                partial = file.with_suffix(".partial")
                ir.save(trace(recogniser), partial)
                os.replace(partial, file)
        return ir.from_proto(onnx.load(file))

    return read_or_trace


def _digest(recogniser: Recogniser) -> str:
    """Of all that tracing sees: architecture, plan, weights, ranges and feature extractor."""
    model, extractor = recogniser.model, recogniser.processor.feature_extractor
    config = {**model.config.to_dict(), "_name_or_path": ""}  # copies of a folder are equal
    settings = [config, extractor.to_dict(), plan_of(model).to_json()]
    digest = hashlib.sha256(json.dumps(settings, default=str, sort_keys=True).encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
