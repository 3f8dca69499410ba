"""`--to onnx`: one file, weights packed, with all that is needed to use it in its metadata."""

from pathlib import Path

import onnx_ir as ir

from sottovoce.artifact.packed_model import packed_layers
from sottovoce.export.group_norm import fold_group_norm
from sottovoce.export.interface import Interface
from sottovoce.export.onnx_graph import traced
from sottovoce.export.onnx_layers import store_packed
from sottovoce.models.recogniser import Recogniser

FILE = "model.onnx"
_ONE_FILE_BYTES = 2**31 - 2**24
"""What protobuf can hold in one file, less the graph."""


def onnx_model(recogniser: Recogniser) -> ir.Model:
    """Waveforms to logits, as `traced`, with the weights as few bits as they are packed in.

    Raises:
        InputError: a layer cannot be expressed; it is named.
    """
    model = traced(recogniser)
    store_packed(model.graph, packed_layers(recogniser.model))
    fold_group_norm(model.graph)
    for node in model.graph:  # where it was traced from
        node.metadata_props.clear()
        node.doc_string = None
    model.metadata_props.update(Interface.of(recogniser).to_metadata())
    return model


def write_onnx(recogniser: Recogniser, folder: Path) -> tuple[str, ...]:
    """Write model.onnx, and its weights beside it where one file cannot hold them."""
    model = onnx_model(recogniser)
    tensors = (one.const_value for one in model.graph.initializers.values())
    size = sum(tensor.nbytes for tensor in tensors if tensor is not None)
    ir.save(model, folder / FILE, external_data=f"{FILE}.data" if size > _ONE_FILE_BYTES else None)
    return ()
