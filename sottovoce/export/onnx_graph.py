"""A recogniser traced to an ONNX graph, in floating point."""

import contextlib
import io
import logging
import warnings

import numpy as np
import onnx_ir as ir
import torch
from onnxscript.optimizer import optimize_ir

from sottovoce.artifact.packed_model import packed_layers
from sottovoce.export.whole_model import WholeModel, traceable
from sottovoce.models.recogniser import Recogniser

LOGITS = "logits"
OPSET = 21
_MODULE = "model."


def traced(recogniser: Recogniser) -> ir.Model:
    """A graph from "waveforms" or "features" to "logits", as `Interface` says.

    Weights are initializers of float32, under the names that they have in the model.
    """
    kept = {f"{name}.weight" for name in packed_layers(recogniser.model)}
    with traceable(recogniser) as model:
        front_end, extractor = recogniser.family.front_end, recogniser.processor.feature_extractor
        silence = np.zeros(recogniser.sampling_rate, np.float32)
        example = torch.from_numpy(front_end.graph_inputs(extractor, silence))
        graph = _exported(model, front_end.graph_input, torch.cat([example] * 2))
    for value in list(graph.graph.initializers.values()):
        value.name = (value.name or "").removeprefix(_MODULE)
    optimize_ir(
        graph,
        should_fold=lambda node: (
            False if any(one is not None and one.name in kept for one in node.inputs) else None
        ),
    )
    return graph


def _exported(model: WholeModel, name: str, example: torch.Tensor) -> ir.Model:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it tells of torchvision, which nobody needs here
    try:
        with (
            torch.no_grad(),
            warnings.catch_warnings(action="ignore"),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            program = torch.onnx.export(
                model,
                (example,),
                dynamo=True,
                verbose=False,
                input_names=[name],
                output_names=[LOGITS],
                dynamic_shapes={
                    "speech": {0: torch.export.Dim("utterances"), 1: torch.export.Dim("length")}
                },
                opset_version=OPSET,
                optimize=False,  # weights keep their names so; `traced` optimises
            )
    finally:
        logger.setLevel(level)
    return program.model  # type: ignore[union-attr]
