"""ONNX Runtime on the CPU."""

from pathlib import Path

import numpy as np
import onnxruntime

from sottovoce.memory import release_freed_memory
from sottovoce.runtime.graph_engine import Run


def read_graph(file: Path) -> Run:
    """Load model.onnx."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Without VNNI, sums of two products of 8 bits would overflow 16.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    release_freed_memory()  # unpacking weights takes twice what they take

    name = session.get_inputs()[0].name

    def run(inputs: np.ndarray) -> np.ndarray:
        logits: np.ndarray = session.run(["logits"], {name: inputs})[0]
        return logits

    return run
