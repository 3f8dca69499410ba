"""OpenVINO on the CPU."""

from pathlib import Path

import numpy as np
import openvino

from sottovoce.runtime.graph_engine import Run


def read_graph(file: Path, precision: str = "f32") -> Run:
    """Load model.onnx or model.xml.

    Args:
        precision: of what is not in 8 bits: f32 or bf16.
    """
    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    core = openvino.Core()
    request = core.compile_model(core.read_model(file), "CPU", settings).create_infer_request()

    def run(inputs: np.ndarray) -> np.ndarray:
        logits: np.ndarray = request.infer([inputs])["logits"]
        return logits.copy()

    return run
