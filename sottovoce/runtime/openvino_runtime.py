"""OpenVINO on the CPU."""

from pathlib import Path

import numpy as np
import openvino

from sottovoce.runtime.graph_engine import Run


def read_graph(file: Path) -> Run:
    """Load model.onnx or model.xml; what is not in 8 bits is computed in float32.

    Not in bfloat16, which OpenVINO would choose where it can: the variance of a folded group norm
    is a difference of large numbers.
    """
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    core = openvino.Core()
    request = core.compile_model(core.read_model(file), "CPU", settings).create_infer_request()

    def run(inputs: np.ndarray) -> np.ndarray:
        logits: np.ndarray = request.infer([inputs])["logits"]
        return logits.copy()

    return run
