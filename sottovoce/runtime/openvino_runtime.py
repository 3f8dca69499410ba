"""OpenVINO on the CPU."""

from pathlib import Path

import numpy as np
import openvino

from sottovoce.runtime.graph_engine import Run


def read_float32(file: Path) -> Run:
    """Load model.onnx or model.xml; what is not in 8 bits is computed in float32."""
    return _read(file, "f32")


def read_bfloat16(file: Path) -> Run:
    """The same in bfloat16, where the processor has it: faster, and rarely another word."""
    return _read(file, "bf16")


def _read(file: Path, precision: str) -> Run:
    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    core = openvino.Core()
    request = core.compile_model(core.read_model(file), "CPU", settings).create_infer_request()

    def run(inputs: np.ndarray) -> np.ndarray:
        logits: np.ndarray = request.infer([inputs])["logits"]
        return logits.copy()

    return run
