"""A recogniser traced to an ONNX graph, in floating point."""

import contextlib
import io
import logging
import warnings

import onnx_ir as ir
import torch
from onnxscript.optimizer import optimize_ir

from sottovoce.artifact.packed_model import packed_layers
from sottovoce.export.waveforms import WaveformModel, traceable
from sottovoce.models.recogniser import Recogniser

WAVEFORMS = "waveforms"
LOGITS = "logits"
OPSET = 21
_MODULE = "model."


def traced(recogniser: Recogniser) -> ir.Model:
    """A graph from `waveforms` [utterances, samples] to `logits` [utterances, frames, labels].

    Weights are initializers of float32, under the names that they have in the model.
    """
    kept = {f"{name}.weight" for name in packed_layers(recogniser.model)}
    with traceable(recogniser) as model:
        graph = _exported(model, recogniser.sampling_rate)
    for value in list(graph.graph.initializers.values()):
        value.name = (value.name or "").removeprefix(_MODULE)
    optimize_ir(
        graph,
        should_fold=lambda node: (
            False if any(one is not None and one.name in kept for one in node.inputs) else None
        ),
    )
    return graph


def _exported(model: WaveformModel, samples: int) -> ir.Model:
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
                (torch.zeros(2, samples),),
                dynamo=True,
                verbose=False,
                input_names=[WAVEFORMS],
                output_names=[LOGITS],
                dynamic_shapes={
                    WAVEFORMS: {0: torch.export.Dim("utterances"), 1: torch.export.Dim("samples")}
                },
                opset_version=OPSET,
                optimize=False,  # weights keep their names so; `traced` optimises
            )
    finally:
        logger.setLevel(level)
    assert program is not None
    return program.model
