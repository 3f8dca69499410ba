"""Packed layers in an ONNX graph: weights as packed bytes, inputs through 8 bits.

A weight becomes a chain of operators that unpacks it. They read constants only, so a runtime runs
them once, when it loads the model; what is stored is what sottovoce stores, `bits` bits a weight. A
width that is no power of two is stored in planes of 4, 2 and 1 bits, none of which crosses a byte:

    bytes -> shift, mask -> codes, planes joined -> [rows, columns] -> the numbers they stand for

Where the layer's inputs have 8 bits, the codes become int8 in front of a DequantizeLinear and the
inputs pass QuantizeLinear and DequantizeLinear: the form that runtimes turn into int8 kernels.
"""

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import torch

from sottovoce.artifact.packed_layers import PackedLayer
from sottovoce.artifact.packing import pack
from sottovoce.errors import InputError
from sottovoce.export.onnx_nodes import Nodes, given
from sottovoce.export.whole_numbers import WholeNumbers, int8_obstacle

_PLANES = (4, 2, 1)  # two of them at most: no width is 7

Rounded = dict[tuple[ir.Value, float, float], ir.Value]
"""(value, scale, zero) -> the value after 8 bits: layers that share inputs share their rounding."""


def store_packed(graph: ir.Graph, layers: Mapping[str, PackedLayer]) -> None:
    """Put packed weights and 8-bit inputs in the place of float weights.

    Args:
        graph: as `traced` gives it; changed in place.

    Raises:
        InputError: a layer has 8-bit inputs and codes that int8 cannot hold.
    """
    rounded: Rounded = {}
    for name, layer in layers.items():
        weight = graph.initializers.get(f"{name}.weight")
        if weight is None:  # nothing depends on it: tracing has left it out
            continue
        readers = [use.node for use in weight.uses()]
        turned = all(node.op_type == "Transpose" for node in readers)
        unpacked = _unpacked(Nodes(graph, readers[0]), name, layer, turned=turned)
        for node in readers if turned else ():
            node.outputs[0].replace_all_uses_with(unpacked)
            graph.remove(node, safe=True)
        if not turned:
            unpacked.shape, unpacked.type = weight.shape, weight.type
            weight.replace_all_uses_with(unpacked)
        graph.initializers.pop(f"{name}.weight")
        if layer.precision.input_bits:
            for use in unpacked.uses():
                _round_inputs(graph, use.node, layer, rounded)


def _unpacked(add: Nodes, name: str, layer: PackedLayer, *, turned: bool) -> ir.Value:
    """The weight, float32 of its shape, or transposed where `turned`."""
    build = _values if layer.precision.input_bits is None else _for_int8
    matrix = build(add, name, layer, turned)
    if len(layer.weight_shape) == 2:
        return matrix
    return add("Reshape", matrix, add.constant(layer.weight_shape))


def _values(add: Nodes, name: str, layer: PackedLayer, turned: bool) -> ir.Value:
    """The arithmetic of `Grid.values`, on [rows, columns] or turned around."""
    lowest = np.float32(layer.grid.lowest + layer.grid.shift)
    values = add.cast(_codes(add, name, layer, turned), np.float32)
    values = add("Add", values, add.constant(lowest))
    values = add("Mul", values, _spread(add, f"{name}.scale", layer, layer.scale, turned))
    if layer.grid.has_offset:
        values = add("Add", values, _spread(add, f"{name}.offset", layer, layer.offset, turned))
    return values


def _spread(
    add: Nodes, name: str, layer: PackedLayer, numbers: torch.Tensor, turned: bool
) -> ir.Value:
    """What belongs to groups, as it is stored, so that it broadcasts over the matrix."""
    groups = numbers.view(layer.precision.groups(layer.matrix_shape))
    stored = add.stored(name, (groups.T if turned else groups).numpy())
    spread = add.cast(stored, np.float32) if numbers.dtype != torch.float32 else stored
    if layer.block is None:
        return spread
    belongs = np.arange(layer.matrix_shape[1]) // layer.block
    return add("Gather", spread, add.constant(belongs), axis=0 if turned else 1)


def _for_int8(add: Nodes, name: str, layer: PackedLayer, turned: bool) -> ir.Value:
    why = int8_obstacle(layer)
    if why:
        raise InputError(f"layer {name!r} has 8-bit inputs and {why}; leave them floating point")
    whole = WholeNumbers.of(name, layer)
    scales = whole.scale.flatten().numpy()
    scale = add.stored(f"{name}.scale", scales if len(scales) > 1 else scales[0])
    if layer.precision.bits == 8:
        codes = whole.signed(layer.unsigned_codes).numpy()
        found = add.stored(f"{name}.codes", codes.T if turned else codes)
    else:
        found = add.cast(_codes(add, name, layer, turned), np.int32)
        found = add("Mul", found, add.constant(np.int32(whole.step)))
        found = add.cast(add("Add", found, add.constant(np.int32(whole.lowest))), np.int8)
    # Zeros, one for each scale: without them ONNX Runtime cannot rewrite a graph for CPUs that have
    # no VNNI.
    zeros = np.zeros(scales.shape if len(scales) > 1 else (), np.int8)
    zero = add.stored(f"{name}.zero", zeros)
    return add("DequantizeLinear", found, scale, zero, axis=1 if turned else 0)


def _codes(add: Nodes, name: str, layer: PackedLayer, turned: bool) -> ir.Value:
    """Codes stored in their bits and unpacked again, [rows, columns] or turned around, uint32
    (uint8 at 8 bits)."""
    bits = layer.precision.bits
    codes = layer.unsigned_codes.T if turned else layer.unsigned_codes
    if bits == 8:
        return add.stored(f"{name}.codes", codes.numpy())
    planes, below = list[ir.Value](), 0
    for width in (one for one in _PLANES if bits & one):
        part = (codes.flatten() >> below) & (2**width - 1)
        plane = _plane(add, f"{name}.codes.{below}", part, width)
        shift = add.constant(np.uint32(below))
        planes.append(add("BitShift", plane, shift, direction="LEFT") if below else plane)
        below += width
    joined = planes[0] if len(planes) == 1 else add("BitwiseOr", *planes)
    return add("Reshape", joined, add.constant(codes.shape))


def _plane(add: Nodes, name: str, part: torch.Tensor, width: int) -> ir.Value:
    """Some bits of every code, [codes] of uint32: 8 / width of them in a byte."""
    stored = add.stored(name, pack(part.unsqueeze(0), width).view(-1, 1).numpy())
    # Not on bytes: what leads from bytes to floats, OpenVINO takes for a compressed weight, leaves
    # it in the graph and computes it wrongly.
    words, shifts = add.cast(stored, np.uint32), np.arange(0, 8, width, dtype=np.uint32)
    found = add("BitShift", words, add.constant(shifts), direction="RIGHT")
    found = add("BitwiseAnd", found, add.constant(np.uint32(2**width - 1)))
    found = add("Reshape", found, add.constant([-1]))
    if len(part) * width % 8:
        found = add("Slice", found, add.constant([0]), add.constant([len(part)]))
    return found


def _round_inputs(graph: ir.Graph, node: ir.Node, layer: PackedLayer, rounded: Rounded) -> None:
    inputs = given(node, 0)
    key = inputs, layer.input_scale.item(), layer.input_zero.item()
    if key not in rounded:
        add = Nodes(graph, node)
        scale = add.constant(np.float32(key[1]))
        zero = add.constant(np.uint8(key[2]))
        codes = add("QuantizeLinear", inputs, scale, zero)
        rounded[key] = add("DequantizeLinear", codes, scale, zero)
    node.replace_input_with(0, rounded[key])
