"""Packed layers in an ONNX graph: weights as packed bytes, inputs through 8 bits.

A weight becomes a chain of operators that unpacks it. They read constants only, so a runtime runs
them once, when it loads the model; what is stored is what sottovoce stores, `bits` bits a weight. A
width that is no power of two is stored in planes of 4, 2 and 1 bits, none of which crosses a byte;
ternary codes are five digits in a byte, which division takes apart:

    bytes -> shift, mask -> codes, planes joined -> [rows, columns] -> the numbers they stand for

Where the layer's inputs have 8 bits, the codes become int8 in front of a DequantizeLinear: with the
QuantizeLinear and DequantizeLinear of the inputs, which tracing has made, the form that runtimes
turn into int8 kernels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from sottovoce.artifact.packed_layers import PackedLayer
from sottovoce.artifact.packing import PLACES, pack
from sottovoce.errors import InputError
from sottovoce.exporters.frames_first import taps_first
from sottovoce.exporters.onnx_nodes import Nodes, shape_of
from sottovoce.exporters.whole_numbers import WholeNumbers, int8_obstacle
from sottovoce.plan import TERNARY_BITS

_PLANES = (4, 2, 1)  # two of them at most: no width is 7


@dataclass(frozen=True)
class _Matrix:
    """A layer's weight as the graph has it.

    Attributes:
        name: of the layer.
        shape: of the weight where it is read: [rows, ...], or [columns, rows] if `turned`.
        columns: which column of the stored matrix stands where.
    """

    name: str
    layer: PackedLayer
    shape: tuple[int, ...]
    columns: Tensor
    turned: bool

    @property
    def codes(self) -> Tensor:
        """uint8, of the shape."""
        codes = self.layer.unsigned_codes[:, self.columns]
        return codes.T.contiguous() if self.turned else codes.view(self.shape)


def store_packed(graph: ir.Graph, layers: Mapping[str, PackedLayer]) -> None:
    """Put packed weights in the place of float weights.

    Args:
        graph: as `traced` gives it; changed in place.

    Raises:
        InputError: a layer has 8-bit inputs and codes that int8 cannot hold.
    """
    for name, layer in layers.items():
        weight = graph.initializers.get(f"{name}.weight")
        if weight is None:  # nothing depends on it: tracing has left it out
            continue
        readers = [use.node for use in weight.uses()]
        shape = shape_of(weight)
        turned = len(shape) == 2 and all(node.op_type == "Transpose" for node in readers)
        shape = shape[::-1] if turned else shape
        matrix = _Matrix(name, layer, shape, columns_of(layer, weight), turned)
        add = Nodes(graph, readers[0])
        unpacked = (_values if layer.precision.input_bits is None else _for_int8)(add, matrix)
        for node in readers if turned else ():
            node.outputs[0].replace_all_uses_with(unpacked)
            graph.remove(node, safe=True)
        if not turned:
            unpacked.shape, unpacked.type = weight.shape, weight.type
            weight.replace_all_uses_with(unpacked)
        graph.initializers.pop(f"{name}.weight")


def columns_of(layer: PackedLayer, weight: ir.Value) -> Tensor:
    """Which column of a layer's matrix stands where in the graph's weight.

    Convolutions that are computed frames first have their taps before their inputs there.
    """
    columns = torch.arange(layer.matrix_shape[1])
    if len(shape_of(weight)) == len(layer.weight_shape):
        return columns
    return taps_first(columns.view(1, *layer.weight_shape[1:])).flatten()


def _values(add: Nodes, matrix: _Matrix) -> ir.Value:
    """The arithmetic of `Grid.values`."""
    layer = matrix.layer
    lowest = np.float32(layer.grid.lowest + layer.grid.shift)
    values = add("Add", add.cast(_codes(add, matrix), np.float32), add.constant(lowest))
    values = add("Mul", values, _spread(add, matrix, "scale", layer.scale))
    if layer.grid.has_offset:
        values = add("Add", values, _spread(add, matrix, "offset", layer.offset))
    return values


def _spread(add: Nodes, matrix: _Matrix, what: str, numbers: Tensor) -> ir.Value:
    """What belongs to groups, as it is stored, so that it broadcasts over the weight.

    It gets the weight's dimensions here: OpenVINO moves a Reshape of the product to its factors,
    and breaks the kernels of depthwise convolutions in doing so.
    """
    layer, turned = matrix.layer, matrix.turned
    groups = numbers.view(layer.precision.groups(layer.matrix_shape))
    inner = (1,) * (len(matrix.shape) - 2)
    shaped = groups.T if turned else groups.view(*groups.shape, *inner)
    stored = add.stored(f"{matrix.name}.{what}", shaped.numpy())
    spread = add.cast(stored, np.float32) if numbers.dtype != torch.float32 else stored
    if layer.block is None:
        return spread
    belongs = matrix.columns.numpy() // layer.block
    found = add("Gather", spread, add.constant(belongs), axis=0 if turned else 1)
    return add("Reshape", found, add.constant(matrix.shape)) if inner else found


def _for_int8(add: Nodes, matrix: _Matrix) -> ir.Value:
    name, layer = matrix.name, matrix.layer
    why = int8_obstacle(layer.precision, layer.matrix_shape)
    if why:
        raise InputError(f"layer {name!r} has 8-bit inputs and {why}; leave them floating point")
    whole = WholeNumbers.of(name, layer)
    scales = whole.scale.flatten().numpy()
    scale = add.stored(f"{name}.scale", scales if len(scales) > 1 else scales[0])
    if layer.precision.bits == 8:
        found = add.stored(f"{name}.codes", whole.signed(matrix.codes).numpy())
    else:
        found = add.cast(_codes(add, matrix), np.int32)
        found = add("Mul", found, add.constant(np.int32(whole.step)))
        found = add.cast(add("Add", found, add.constant(np.int32(whole.lowest))), np.int8)
    # Zeros, one for each scale: without them ONNX Runtime cannot rewrite a graph for CPUs that have
    # no VNNI.
    zeros = np.zeros(scales.shape if len(scales) > 1 else (), np.int8)
    zero = add.stored(f"{name}.zero", zeros)
    return add("DequantizeLinear", found, scale, zero, axis=1 if matrix.turned else 0)


def _codes(add: Nodes, matrix: _Matrix) -> ir.Value:
    """Codes stored in their bits and unpacked again, whole numbers."""
    name, bits, codes = matrix.name, matrix.layer.precision.bits, matrix.codes
    if bits == 8:
        return add.stored(f"{name}.codes", codes.numpy())
    if bits == TERNARY_BITS:
        return add("Reshape", _digits(add, f"{name}.codes", codes), add.constant(codes.shape))
    planes, below = list[ir.Value](), 0
    for width in (one for one in _PLANES if int(bits) & one):
        part = (codes.flatten() >> below) & (2**width - 1)
        plane = _plane(add, f"{name}.codes.{below}", part, width)
        if below:
            plane = add("BitShift", plane, add.constant(np.uint32(below)), direction="LEFT")
        planes.append(plane)
        below += width
    joined = planes[0] if len(planes) == 1 else add("BitwiseOr", *planes)
    return add("Reshape", joined, add.constant(codes.shape))


def _digits(add: Nodes, name: str, codes: Tensor) -> ir.Value:
    """Ternary codes, [codes] of int32: five in a byte."""
    stored = add.stored(name, pack(codes.reshape(1, -1), TERNARY_BITS).view(-1, 1).numpy())
    places = add.constant(np.array(PLACES, dtype=np.int32))
    found = add("Div", add.cast(stored, np.int32), places)
    found = add("Reshape", add("Mod", found, add.constant(np.int32(3))), add.constant([-1]))
    if codes.numel() % len(PLACES):
        found = add("Slice", found, add.constant([0]), add.constant([codes.numel()]))
    return found


def _plane(add: Nodes, name: str, part: Tensor, width: int) -> ir.Value:
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
