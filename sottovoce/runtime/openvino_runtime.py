"""OpenVINO on the CPU."""

from pathlib import Path

import numpy as np
import openvino

from sottovoce.runtime.graph_engine import Run

_SEVERAL_FRAMES = {2: 16000, 3: 100}
"""Dimensions of the input -> a length that yields several: of waveforms, of features."""


def read_float32(file: Path) -> Run:
    """Load model.onnx or model.xml; what is not in 8 bits is computed in float32."""
    return _read(file, "f32")


def read_bfloat16(file: Path) -> Run:
    """The same in bfloat16, where the processor has it: faster, now and then another word."""
    return _read(file, "bf16")


def _read(file: Path, precision: str) -> Run:
    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    core = openvino.Core()
    model = core.read_model(file)
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    # It makes attention's kernels for the first input, and where that is a single frame, computes
    # all that come after wrongly.
    request.infer([_silence(model)])

    def run(inputs: np.ndarray) -> np.ndarray:
        logits: np.ndarray = request.infer([inputs])["logits"]
        return logits.copy()

    return run


def _silence(model: openvino.Model) -> np.ndarray:
    """[1, length, ...], of several frames."""
    _, _, *channels = model.inputs[0].partial_shape
    length = _SEVERAL_FRAMES[2 + len(channels)]
    return np.zeros((1, length, *(one.get_length() for one in channels)), np.float32)
