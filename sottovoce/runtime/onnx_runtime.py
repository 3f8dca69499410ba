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

    def run(waveforms: np.ndarray) -> np.ndarray:
        logits: np.ndarray = session.run(["logits"], {"waveforms": waveforms})[0]
        return logits

    return run
