"""Packed layers in an ONNX graph: weights as packed bytes, inputs through 8 bits.

A weight becomes a chain of operators that unpacks it. They read constants only, so a runtime runs
them once, when it loads the model; what is stored is what sottovoce stores, `bits` bits a weight:

    bytes -> their codes, looked up -> planes added -> int8 [rows, columns] -> times scales

A runtime keeps what every operator makes until all weights are unpacked, so operators are few, and
int8 as far as they can be (docs/decisions/0022). A table has the codes of every byte, on the grid.
A width that is no power of two is stored in planes of 4, 2 and 1 bits, none of which crosses a
byte; codes of 4 bits have a type of their own and need no table. Halves become odd numbers of half
the scale: the same products, bit for bit.

Where the layer's inputs have 8 bits, int8 goes into a DequantizeLinear: with the QuantizeLinear and
DequantizeLinear of the inputs, which tracing has made, the form that runtimes turn into int8
kernels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from sottovoce.artifact.packed_layers import PackedLayer
from sottovoce.artifact.packing import pack, unpack
from sottovoce.errors import InputError
from sottovoce.exporters.onnx_nodes import Nodes, shape_of
from sottovoce.graph.channels_last import taps_before_channels
from sottovoce.graph.int8_weights import Int8Weights, int8_obstacle, integer_range
from sottovoce.quantization.grids import codes_of
from sottovoce.quantization.plan import TERNARY_BITS, tenths

_ENOUGH_CHANNELS = 48
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
        if layer.precision.input_bits is None:
            unpacked = _values(add, matrix)
        else:
            longer = _even_kernel_axes(matrix, readers)
            unpacked = _for_int8(add, matrix, longer)
            for node in readers if longer else ():
                _lengthen_kernel(node, len(shape) - 2, longer)
        for node in readers if turned else ():
            node.outputs[0].replace_all_uses_with(unpacked)
            graph.remove(node, safe=True)
        if not turned:
            unpacked.type = weight.type
            weight.replace_all_uses_with(unpacked)
        graph.initializers.pop(f"{name}.weight")


def columns_of(layer: PackedLayer, weight: ir.Value) -> Tensor:
    """Which column of a layer's matrix stands where in the graph's weight.

    Convolutions that are computed frames first have their taps before their inputs there.
    """
    columns = torch.arange(layer.matrix_shape[1])
    if len(shape_of(weight)) == len(layer.weight_shape):
        return columns
    return taps_before_channels(columns.view(1, *layer.weight_shape[1:])).flatten()


def _values(add: Nodes, matrix: _Matrix) -> ir.Value:
    """The arithmetic of `Grid.values`."""
    layer, grid = matrix.layer, matrix.layer.grid
    step, lowest, bits = integer_range(layer.precision)
    if bits > 8:  # twice the codes of 8 bits
        step = 1
        values = add.cast(_numbers(add, matrix, step, grid.lowest), np.float32)
        values = add("Add", values, add.constant(np.float32(grid.shift)))
    else:
        values = add.cast(_numbers(add, matrix, step, lowest), np.float32)
        # This one costs nothing and does nothing, but where the product follows int8 at once,
        # OpenVINO takes it for a compressed weight, leaves it in the graph and rounds its inputs.
        values = add.cast(values, np.float32)
    values = add("Mul", values, _spread(add, matrix, "scale", layer.scale, step))
    if grid.has_offset:
        values = add("Add", values, _spread(add, matrix, "offset", layer.offset))
    return values


def _spread(add: Nodes, matrix: _Matrix, what: str, numbers: Tensor, divisor: int = 1) -> ir.Value:
    """What belongs to groups, as it is stored, divided, so that it broadcasts over the weight.

    It gets the weight's dimensions here: OpenVINO moves a Reshape of the product to its factors,
    and breaks the kernels of depthwise convolutions in doing so.
    """
    layer, turned = matrix.layer, matrix.turned
    groups = numbers.view(layer.precision.groups(layer.matrix_shape))
    inner = (1,) * (len(matrix.shape) - 2)
    shaped = groups.T if turned else groups.view(*groups.shape, *inner)
    stored = add.stored(f"{matrix.name}.{what}", shaped.numpy())
    spread = add.cast(stored, np.float32) if numbers.dtype != torch.float32 else stored
    spread = add("Div", spread, add.constant(np.float32(divisor))) if divisor > 1 else spread
    if layer.block is None:
        return spread
    belongs = matrix.columns.numpy() // layer.block
    found = add("Gather", spread, add.constant(belongs), axis=0 if turned else 1)
    return add("Reshape", found, add.constant(matrix.shape)) if inner else found


def _even_kernel_axes(matrix: _Matrix, readers: Sequence[ir.Node]) -> tuple[int, ...]:
    """Axes of a convolution's weight that get one more tap, of zeros.

    OpenVINO 2026.4 computes 8-bit convolutions wrongly on processors with AMX where a kernel is
    even and a group has few channels (8 to 28 are known; 48 and 64, as in the published models,
    are right). An odd kernel computes the same and avoids the code that is wrong.
    """
    if any(node.op_type != "Conv" for node in readers) or matrix.shape[1] >= _ENOUGH_CHANNELS:
        return ()
    return tuple(axis for axis, taps in enumerate(matrix.shape) if axis > 1 and taps % 2 == 0)


def _lengthen_kernel(node: ir.Node, dimensions: int, axes: Sequence[int]) -> None:
    """Let a convolution's inputs end one frame later along some axes, for one more tap.

    Args:
        dimensions: of its kernel.
    """
    pads = [0] * 2 * dimensions  # all beginnings, then all ends
    if "pads" in node.attributes:
        pads = list(node.attributes["pads"].as_ints())
    for axis in axes:
        pads[dimensions + axis - 2] += 1
    node.attributes["pads"] = ir.AttrInt64s("pads", pads)
    node.attributes.pop("kernel_shape", None)  # follows from the weight


def _for_int8(add: Nodes, matrix: _Matrix, longer: Sequence[int]) -> ir.Value:
    """
    Args:
        longer: axes that get one more tap, of zeros.
    """
    name, layer = matrix.name, matrix.layer
    why = int8_obstacle(layer.precision, layer.matrix_shape)
    if why:
        raise InputError(f"layer {name!r} has 8-bit inputs and {why}; leave them floating point")
    whole = Int8Weights.of(name, layer)
    scales = whole.scale.flatten().numpy()
    scale = add.stored(f"{name}.scale", scales if len(scales) > 1 else scales[0])
    found, shape = add.cast(_numbers(add, matrix, whole.step, whole.lowest), np.int8), matrix.shape
    for axis in longer:
        taps = (*shape[:axis], 1, *shape[axis + 1 :])
        found = add("Concat", found, add.constant(np.zeros(taps, np.int8)), axis=axis)
        shape = (*shape[:axis], shape[axis] + 1, *shape[axis + 1 :])
    # Zeros, one for each scale: without them ONNX Runtime cannot rewrite a graph for CPUs that have
    # no VNNI.
    zeros = np.zeros(scales.shape if len(scales) > 1 else (), np.int8)
    zero = add.stored(f"{name}.zero", zeros)
    return add("DequantizeLinear", found, scale, zero, axis=1 if matrix.turned else 0)


def _numbers(add: Nodes, matrix: _Matrix, step: int, lowest: int) -> ir.Value:
    """code * step + lowest, of the matrix's shape, int8 or INT4; stored in the codes' bits."""
    name, bits, codes = f"{matrix.name}.codes", matrix.layer.precision.bits, matrix.codes
    if bits == 8 or (bits == 4 and step == 1):
        numbers = codes.int().mul(step).add(lowest).to(torch.int8)
        return add.stored(name, numbers.numpy(), ir.DataType.INT4 if bits == 4 else None)
    widths = [bits] if bits == TERNARY_BITS else [one for one in _PLANES if int(bits) & one]
    planes, below = list[ir.Value](), 0
    for width in widths:
        part = (codes >> below) % codes_of(width)
        numbers = (torch.arange(codes_of(width)) << below).mul(step).add(0 if below else lowest)
        planes.append(_looked_up(add, f"{name}.{below}", part, width, numbers.to(torch.int8)))
        below += int(width)
    return planes[0] if len(planes) == 1 else add("Add", *planes)


def _looked_up(add: Nodes, name: str, codes: Tensor, width: float, numbers: Tensor) -> ir.Value:
    """numbers[codes] in the codes' shape, from bytes of codes of `width` bits."""
    held = 80 // tenths(width)
    stored = add.stored(name, pack(codes.reshape(1, -1), width)[0].numpy())
    found = add("Gather", _table(add, width, held, numbers), add.cast(stored, np.int32))
    if codes.numel() % held:
        found = add("Reshape", found, add.constant([-1]))
        found = add("Slice", found, add.constant([0]), add.constant([codes.numel()]))
    return add("Reshape", found, add.constant(codes.shape))


def _table(add: Nodes, width: float, held: int, numbers: Tensor) -> ir.Value:
    """What every byte stands for, [bytes, held] of evenly spaced numbers; one for all layers."""
    name = f"{width:g} bits from {numbers[0]} to {numbers[-1]}"
    if name in add.graph.initializers:
        return add.graph.initializers[name]
    every_byte = torch.arange(codes_of(width) ** held, dtype=torch.uint8).view(-1, 1)
    return add.stored(name, numbers[unpack(every_byte, width, held).int()].numpy())
