"""A recogniser traced to an ONNX graph, in floating point."""

import numpy as np
import onnx_ir as ir
import torch
from onnxscript.optimizer import optimize_ir
from torch.onnx.errors import OnnxExporterError

from sottovoce.artifact.packed_model import packed_layers
from sottovoce.errors import InputError
from sottovoce.graph.quantize_ops import traceable_attention_quantizers
from sottovoce.graph.whole_model import WholeModel, traceable
from sottovoce.models.recogniser import Recogniser
from sottovoce.quiet import quiet

LOGITS = "logits"
OPSET = 21
_MODULE = "model."
_FEWEST_FEATURES = 3  # of Parakeet: with fewer, attention has another form


def trace(recogniser: Recogniser) -> ir.Model:
    """A graph from "waveforms" or "features" to "logits", as `Interface` says.

    Weights are initializers of float32, under the names that they have in the model.

    Raises:
        InputError: the architecture cannot be traced.
    """
    kept = {f"{name}.weight" for name in packed_layers(recogniser.model)}

    def folds(node: ir.Node) -> bool | None:
        reads_kept = any(one is not None and one.name in kept for one in node.inputs)
        return False if reads_kept else None

    rounding = traceable_attention_quantizers(recogniser.model)
    with quiet(), torch.no_grad(), traceable(recogniser) as model, rounding:
        front_end, extractor = recogniser.family.front_end, recogniser.processor.feature_extractor
        # Were shorter inputs asked for than yield a frame, PyTorch would find that out and trace
        # a second time, relative positions for lengths of whole frames alone.
        shortest, example = (
            torch.from_numpy(front_end.graph_inputs(extractor, np.zeros(samples, np.float32)))
            for samples in (recogniser.shortest, recogniser.sampling_rate)
        )
        least = max(_FEWEST_FEATURES, shortest.shape[1])
        graph = _exported(model, front_end.graph_input, torch.cat([example] * 2), least)
        for value in list(graph.graph.initializers.values()):
            value.name = (value.name or "").removeprefix(_MODULE)
        optimize_ir(graph, should_fold=folds)
    return graph


def _exported(model: WholeModel, name: str, example: torch.Tensor, least: int) -> ir.Model:
    axes = {0: torch.export.Dim("utterances"), 1: torch.export.Dim("length", min=least)}
    try:
        program = torch.onnx.export(
            model,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=[name],
            output_names=[LOGITS],
            dynamic_shapes={"speech": axes},
            opset_version=OPSET,
            optimize=False,  # weights keep their names so; `trace` optimises
        )
    except OnnxExporterError as error:
        raise InputError(
            f"a {type(model.model).__name__} cannot be traced to a graph; run it with PyTorch"
        ) from error
    return program.model  # type: ignore[union-attr]
