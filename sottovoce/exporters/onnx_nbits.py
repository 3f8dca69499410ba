"""Linear layers that stay packed in memory: ONNX Runtime's MatMulNBits.

The operator multiplies by weights of 2, 4 or 8 bits as they lie there, in blocks of a power of two
along a row, each with a scale. A weight of 3 bits takes 4, one of 5 or 6 takes 8; the numbers are
the same. Layers that it does not know (convolutions that are none in the graph's form, offsets,
other blocks, 8-bit inputs) are left for `store_packed`.
"""

from collections.abc import Mapping

import onnx_ir as ir
import torch
from torch import Tensor

from sottovoce.artifact.packed_layers import PackedLayer
from sottovoce.artifact.packing import pack
from sottovoce.exporters.onnx_layers import columns_of
from sottovoce.exporters.onnx_nodes import Nodes, given, shape_of
from sottovoce.graph.int8_weights import Int8Weights, int8_export_obstacle

DOMAIN = "com.microsoft"
_WIDTHS = (2, 4, 8)
_BLOCK = 128
_BLOCKS = (16, 32, 64, 128, 256)


def multiply_packed(model: ir.Model, layers: Mapping[str, PackedLayer]) -> dict[str, PackedLayer]:
    """Put a MatMulNBits in the place of every product with a weight that it knows.

    Args:
        model: as `traced` gives it; changed in place.

    Returns:
        The layers that are left.
    """
    left = {}
    for name, layer in layers.items():
        weight = model.graph.initializers.get(f"{name}.weight")
        if weight is None or not (products := _products(weight)) or not _is_known(layer, weight):
            left[name] = layer
            continue
        codes = layer.unsigned_codes[:, columns_of(layer, weight)]
        for turned, product in products:
            _replace(model.graph, name, layer, codes, product)
            model.graph.remove([product, turned], safe=True)
        model.graph.initializers.pop(f"{name}.weight")
    if len(left) < len(layers):
        model.graph.opset_imports[DOMAIN] = 1
    return left


def _products(weight: ir.Value) -> list[tuple[ir.Node, ir.Node]]:
    """(transpose, product) for every use of a weight; nothing where one is of another kind."""
    found = []
    for use in weight.uses():
        readers = [one.node for one in use.node.outputs[0].uses()]
        if use.node.op_type != "Transpose" or [one.op_type for one in readers] != ["MatMul"]:
            return []
        found.append((use.node, readers[0]))
    return found


def _is_known(layer: PackedLayer, weight: ir.Value) -> bool:
    as_stored = len(shape_of(weight)) == len(layer.weight_shape)
    fits = layer.block is None or (layer.block in _BLOCKS and as_stored)
    plain = layer.precision.input_bits is None and int8_export_obstacle(layer.precision) is None
    return fits and plain


def _replace(
    graph: ir.Graph, name: str, layer: PackedLayer, codes: Tensor, product: ir.Node
) -> None:
    add, whole = Nodes(graph, product), Int8Weights.of(name, layer)
    rows, columns = layer.matrix_shape
    bits = next(width for width in _WIDTHS if width >= whole.bits)
    block = layer.block or _BLOCK
    blocks = -(-columns // block)
    unsigned = (whole.signed(codes).int() + 2 ** (bits - 1)).to(torch.uint8)
    padded = torch.nn.functional.pad(unsigned, (0, blocks * block - columns)).view(-1, block)
    stored = pack(padded, bits).view(rows, blocks, -1)
    multiplied = ir.node(
        "MatMulNBits",
        [
            given(product, 0),
            add.stored(f"{name}.codes", stored.numpy()),
            add.stored(f"{name}.scale", whole.scale.expand(rows, blocks).flatten().numpy()),
        ],
        {"K": columns, "N": rows, "bits": bits, "block_size": block},
        domain=DOMAIN,
    )
    graph.insert_before(product, multiplied)
    product.outputs[0].replace_all_uses_with(multiplied.outputs[0])
