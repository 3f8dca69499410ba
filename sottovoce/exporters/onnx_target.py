"""`--to onnx` and `--to onnx-nbits`: one file, weights packed, all that is needed in its metadata.

The first unpacks its weights when it is loaded, for speed; in the second linear layers stay packed
in memory, for which it needs an operator that only ONNX Runtime has.
"""

from pathlib import Path

import onnx_ir as ir

from sottovoce.artifact.packed_model import packed_layers
from sottovoce.exporters.onnx_graph import trace
from sottovoce.exporters.onnx_layers import store_packed
from sottovoce.exporters.onnx_nbits import multiply_packed
from sottovoce.graph.interface import Interface
from sottovoce.models.recogniser import Recogniser

FILE = "model.onnx"
_ONE_FILE_BYTES = 2**31 - 2**24
"""What protobuf can hold in one file, less the graph."""


def onnx_model(recogniser: Recogniser, *, packed_in_memory: bool) -> ir.Model:
    """As `trace`, with weights of as few bits as they are packed in.

    Raises:
        InputError: a layer cannot be expressed; it is named.
    """
    model = trace(recogniser)
    layers = packed_layers(recogniser.model)
    store_packed(model.graph, multiply_packed(model, layers) if packed_in_memory else layers)
    for node in model.graph:  # where it was traced from
        node.metadata_props.clear()
        node.doc_string = None
    model.metadata_props.update(Interface.of(recogniser).to_metadata())
    return model


def write_onnx(
    recogniser: Recogniser, folder: Path, *, packed_in_memory: bool = False
) -> tuple[str, ...]:
    """Write model.onnx, and its weights beside it where one file cannot hold them."""
    model = onnx_model(recogniser, packed_in_memory=packed_in_memory)
    tensors = (one.const_value for one in model.graph.initializers.values())
    size = sum(tensor.nbytes for tensor in tensors if tensor is not None)
    ir.save(model, folder / FILE, external_data=f"{FILE}.data" if size > _ONE_FILE_BYTES else None)
    return ()


def write_onnx_nbits(recogniser: Recogniser, folder: Path) -> tuple[str, ...]:
    """The same, to stay packed in memory."""
    return write_onnx(recogniser, folder, packed_in_memory=True)
