"""ONNX Runtime on the CPU."""

from pathlib import Path

import numpy as np
import onnxruntime

from sottovoce.runtime.graph_engine import Run


def read_graph(file: Path) -> Run:
    """Load model.onnx."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    name = session.get_inputs()[0].name

    def run(inputs: np.ndarray) -> np.ndarray:
        logits: np.ndarray = session.run(["logits"], {name: inputs})[0]
        return logits

    return run
