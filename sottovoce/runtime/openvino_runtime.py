"""OpenVINO on the CPU."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino.opset13 as operators

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
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
    }
    core = openvino.Core()
    if sums_overflow(core):
        settings["LP_TRANSFORMS_MODE"] = False  # rounds as before, multiplies in floating point
    model = core.read_model(file)
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    # It makes attention's kernels for the first input, and where that is a single frame, computes
    # all that come after wrongly.
    request.infer([_silence(model)])

    def run(inputs: np.ndarray) -> np.ndarray:
        logits: np.ndarray = request.infer([inputs])["logits"]
        return logits.copy()

    return run


def sums_overflow(core: openvino.Core) -> bool:
    """Whether sums of two 8-bit products overflow 16 bits here, as they do without VNNI.

    255 * 127 * 2 is 64,770: a row of the largest numbers shows it.
    """
    inputs = operators.parameter([1, 64], np.float32)
    codes = operators.fake_quantize(inputs, *(np.float32(end) for end in (-128, 127) * 2), 256)
    numbers = operators.constant(np.full((16, 64), 127, np.int8))
    scales = operators.constant(np.ones((16, 1), np.float32))
    weight = operators.multiply(operators.convert(numbers, np.float32), scales)
    model = openvino.Model([operators.matmul(codes, weight, False, True)], [inputs])
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    (sums,) = compiled([np.full((1, 64), 127, np.float32)]).values()
    return not np.allclose(sums, 127 * 127 * 64)


def _silence(model: openvino.Model) -> np.ndarray:
    """[1, length, ...], of several frames."""
    _, _, *channels = model.inputs[0].partial_shape
    length = _SEVERAL_FRAMES[2 + len(channels)]
    return np.zeros((1, length, *(one.get_length() for one in channels)), np.float32)
