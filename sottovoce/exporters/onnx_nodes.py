"""Writing operators into an ONNX graph."""

from typing import Any

import numpy as np
import onnx_ir as ir

_TYPES = {
    np.dtype(np.float32): ir.DataType.FLOAT,
    np.dtype(np.int8): ir.DataType.INT8,
    np.dtype(np.int32): ir.DataType.INT32,
}


def given(node: ir.Node, index: int) -> ir.Value:
    """An input that a node must have."""
    value = node.inputs[index]
    if value is None:
        raise ValueError(f"{node.op_type} {node.name} has no input {index}")
    return value


def shape_of(weight: ir.Value) -> tuple[int, ...]:
    """The shape of an initializer."""
    if weight.shape is None:
        raise ValueError(f"{weight.name} has no shape")
    return tuple(weight.shape.numpy())


class Nodes:
    """Operators that are put into a graph, one after the other, before one of its nodes."""

    def __init__(self, graph: ir.Graph, before: ir.Node) -> None:
        self.graph = graph
        self.before = before

    def __call__(self, kind: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
        """One operator with one output, which is returned."""
        node = ir.node(kind, inputs, attributes)
        self.graph.insert_before(self.before, node)
        return node.outputs[0]

    def cast(self, value: ir.Value, to: type) -> ir.Value:
        return self("Cast", value, to=int(_TYPES[np.dtype(to)]))

    def constant(self, values: Any) -> ir.Value:
        """A small array inside an operator."""
        return self("Constant", value=ir.tensor(np.asarray(values)))

    def stored(self, name: str, values: Any, kind: ir.DataType | None = None) -> ir.Value:
        """An initializer; of the array's type if no other is given."""
        value = ir.val(name, const_value=ir.tensor(np.array(values), kind, name=name))
        self.graph.register_initializer(value)
        return value
