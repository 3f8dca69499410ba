"""Packed layers in an ONNX graph: weights as packed bytes, inputs through 8 bits.

A weight becomes a chain of operators that unpacks it. They read constants only, so a runtime runs
them once, when it loads the model; what is stored is what sottovoce stores, `bits` bits a weight:

    bytes [groups, bits] -> the two bytes that hold each of a group's eight codes -> shift, mask
    -> [rows, columns] -> the numbers that the codes stand for

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
from sottovoce.export.whole_numbers import WholeNumbers

_GROUP = 8

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
    columns = layer.matrix_shape[1]
    groups = numbers.view(layer.precision.groups(layer.matrix_shape))
    stored = add.stored(name, (groups.T if turned else groups).numpy())
    spread = add.cast(stored, np.float32) if numbers.dtype != torch.float32 else stored
    if groups.shape[1] == 1:
        return spread
    # `block` is there where a row has several groups
    belongs = np.arange(columns) // layer.precision.block  # type: ignore[operator]
    return add("Gather", spread, add.constant(belongs), axis=0 if turned else 1)


def _for_int8(add: Nodes, name: str, layer: PackedLayer, turned: bool) -> ir.Value:
    whole = WholeNumbers.of(name, layer)
    if whole.scale.shape[1] > 1:
        raise InputError(
            f"layer {name!r} has a scale for every {layer.precision.block} weights and 8-bit "
            "inputs, which 8-bit kernels cannot multiply; give it a scale a channel"
        )
    scales = whole.scale.flatten().numpy()
    scale = add.stored(f"{name}.scale", scales if len(scales) > 1 else scales[0])
    if layer.precision.bits == 8:
        codes = whole.signed(layer.unsigned_codes).numpy()
        found = add.stored(f"{name}.codes", codes.T if turned else codes)
    else:
        found = add.cast(_codes(add, name, layer, turned), np.int32)
        found = add("Mul", found, add.constant(np.int32(whole.step)))
        found = add.cast(add("Add", found, add.constant(np.int32(whole.lowest))), np.int8)
    return add("DequantizeLinear", found, scale, axis=1 if turned else 0)


def _codes(add: Nodes, name: str, layer: PackedLayer, turned: bool) -> ir.Value:
    """Codes stored as a stream of bits and unpacked again, whole numbers."""
    bits = layer.precision.bits
    codes = layer.unsigned_codes.T if turned else layer.unsigned_codes
    if bits == 8:
        return add.stored(f"{name}.codes", codes.numpy())
    flat = codes.flatten()
    groups = torch.nn.functional.pad(flat, (0, -len(flat) % _GROUP)).view(-1, _GROUP)
    stream = add.stored(f"{name}.codes", pack(groups, bits).numpy())
    byte, shift = np.divmod(np.arange(_GROUP) * bits, 8)
    low = add("Gather", stream, add.constant(byte), axis=1)
    high = add("Gather", stream, add.constant(np.minimum(byte + 1, bits - 1)), axis=1)
    eight = add.constant(np.array([8], np.uint32))
    high = add("BitShift", add.cast(high, np.uint32), eight, direction="LEFT")
    words = add("BitwiseOr", add.cast(low, np.uint32), high)
    shifts = add.constant(shift.astype(np.uint32))
    words = add("BitShift", words, shifts, direction="RIGHT")
    found = add("BitwiseAnd", words, add.constant(np.array([2**bits - 1], np.uint32)))
    found = add("Reshape", found, add.constant([-1]))
    if groups.numel() > len(flat):
        found = add("Slice", found, add.constant([0]), add.constant([len(flat)]))
    return add("Reshape", found, add.constant(codes.shape))


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
