import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from precisions import described

from sottovoce.artifact.packed_layers import PackedLinear
from sottovoce.exporters.onnx_nbits import multiply_packed
from sottovoce.quantization.plan import Precision
from sottovoce.quantization.ranges import initial_affine

ROWS, COLUMNS = 12, 550  # more than a block of MatMulNBits, and no multiple of it


def packed(precision):
    torch.manual_seed(0)
    weight = torch.randn(ROWS, COLUMNS)
    return PackedLinear.from_weight(
        weight, initial_affine(weight, precision.quantizer, "max"), precision
    )


def graph_of(kind="MatMul"):
    inputs = ir.val("x", ir.DataType.FLOAT, ["n", COLUMNS])
    empty = ir.tensor(np.zeros((ROWS, COLUMNS), np.float32), name="layer.weight")
    weight = ir.val("layer.weight", ir.DataType.FLOAT, (ROWS, COLUMNS), const_value=empty)
    turned = ir.node("Transpose", [weight], {"perm": [1, 0]})
    product = ir.node(kind, [inputs, turned.outputs[0]])
    output = ir.node("Identity", product.outputs)
    output.outputs[0].name, output.outputs[0].type = "y", ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph(
        [inputs],
        output.outputs,
        nodes=[turned, product, output],
        initializers=[weight],
        opset_imports={"": 21},
    )
    return ir.Model(graph, ir_version=10)


@pytest.mark.parametrize(
    ("precision", "bits"),
    [
        (Precision(1, "half"), 2),
        (Precision(1.6, "half"), 2),
        (Precision(2, "symmetric", "tensor"), 2),
        (Precision(2, "half"), 4),
        (Precision(2, "symmetric", "block", 64, 16), 2),
        (Precision(3, "symmetric"), 4),
        (Precision(4, "full"), 4),
        (Precision(5, "half"), 8),
        (Precision(8, "symmetric"), 8),
    ],
    ids=described,
)
def test_a_packed_product_is_that_of_the_layer(precision, bits):
    layer, model = packed(precision), graph_of()
    assert multiply_packed(model, {"layer": layer}) == {}
    assert [node.op_type for node in model.graph] == ["MatMulNBits", "Identity"]
    block = precision.block or 128
    stored = model.graph.initializers["layer.codes"].const_value.nbytes
    assert stored == ROWS * -(-COLUMNS // block) * block * bits // 8
    inputs = np.random.default_rng(0).standard_normal((7, COLUMNS)).astype(np.float32)
    session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString())
    expected = layer(torch.from_numpy(inputs)).detach().numpy()
    np.testing.assert_allclose(session.run(None, {"x": inputs})[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "precision",
    [
        Precision(4, "asymmetric"),
        Precision(4, "symmetric", "block", 8),
        Precision(4, "symmetric", "block", 48),
        Precision(4, "symmetric", "block", 512),
        Precision(8, "half"),
        Precision(8, input_bits=8),
    ],
    ids=described,
)
def test_what_the_operator_does_not_know_is_left(precision):
    layer, model = packed(precision), graph_of()
    assert multiply_packed(model, {"layer": layer}) == {"layer": layer}
    assert "layer.weight" in model.graph.initializers


def test_a_weight_that_is_used_otherwise_is_left():
    layer, model = packed(Precision(4)), graph_of("Add")
    assert multiply_packed(model, {"layer": layer}) == {"layer": layer}
