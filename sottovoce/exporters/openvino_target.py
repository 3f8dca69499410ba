"""`--to openvino`: the ONNX graph in OpenVINO's own form."""

from pathlib import Path
from tempfile import TemporaryDirectory

import openvino

from sottovoce.exporters.onnx_target import FILE as ONNX_FILE
from sottovoce.exporters.onnx_target import write_onnx
from sottovoce.models.recogniser import Recogniser

FILE = "model.xml"


def write_openvino(recogniser: Recogniser, folder: Path) -> tuple[str, ...]:
    """Write model.xml and model.bin."""
    with TemporaryDirectory() as scratch:
        write_onnx(recogniser, Path(scratch))
        model = openvino.Core().read_model(Path(scratch) / ONNX_FILE)
        openvino.save_model(model, folder / FILE, compress_to_fp16=False)
    return ()
