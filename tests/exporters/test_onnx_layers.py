from collections import Counter
from math import prod

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import openvino
import pytest
import torch
from precisions import GRIDS_OF, PAIRWISE_PRECISIONS, described

from sottovoce.artifact.packed_layers import PackedLinear, empty_packed
from sottovoce.errors import InputError
from sottovoce.exporters.onnx_layers import store_packed
from sottovoce.quantization.activations import Range
from sottovoce.quantization.plan import Precision
from sottovoce.quantization.ranges import initial_affine
from sottovoce.runtime.openvino_runtime import sums_overflow

ROWS, COLUMNS = 12, 20
SPAN = Range(-1.0, 3.0)


def packed(precision, rows=ROWS, columns=COLUMNS):
    torch.manual_seed(0)
    weight = torch.randn(rows, columns)
    affine = initial_affine(weight, precision.quantizer, "max")
    layer = PackedLinear.from_weight(weight, affine, precision)
    if precision.input_bits:
        layer.store_range(SPAN)
    return layer


def graph_of(layers, read):
    """`read` (value of a weight) -> nodes whose last has the output; one for each layer."""
    inputs = ir.val("x", ir.DataType.FLOAT, ["n", COLUMNS])
    nodes, outputs, initializers = [], [], []
    for name, layer in layers.items():
        shape = tuple(layer.weight_shape)
        empty = ir.tensor(np.zeros(shape, np.float32), name=f"{name}.weight")
        weight = ir.val(f"{name}.weight", ir.DataType.FLOAT, shape, const_value=empty)
        initializers.append(weight)
        nodes += read(inputs, weight)
        nodes[-1].outputs[0].name = name
        nodes[-1].outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
        outputs.append(nodes[-1].outputs[0])
    graph = ir.Graph(
        [inputs], outputs, nodes=nodes, initializers=initializers, opset_imports={"": 21}
    )
    store_packed(graph, layers)
    return graph


def run(graph, inputs):
    content = ir.to_proto(ir.Model(graph, ir_version=10)).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")  # as our runtime sets it
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": inputs})


def as_it_is(_, weight):
    return [ir.node("Identity", [weight])]


def turned(_, weight):
    return [
        (first := ir.node("Transpose", [weight], {"perm": [1, 0]})),
        ir.node("Identity", first.outputs),
    ]


def multiplied(inputs, weight):
    first = ir.node("Transpose", [weight], {"perm": [1, 0]})
    return [first, ir.node("MatMul", [inputs, first.outputs[0]])]


def rounded(inputs):
    """Nodes through which inputs of 8 bits pass, as tracing makes them."""
    scale, zero = (
        ir.node("Constant", [], {"value": ir.tensor(np.array(number))})
        for number in (np.float32(SPAN.scale), np.uint8(SPAN.zero))
    )
    span = scale.outputs[0], zero.outputs[0]
    codes = ir.node("QuantizeLinear", [inputs, *span])
    return [scale, zero, codes, ir.node("DequantizeLinear", [codes.outputs[0], *span])]


def multiplied_in_8_bits(inputs, weight):
    nodes = rounded(inputs)
    return [*nodes, *multiplied(nodes[-1].outputs[0], weight)]


def noise(rows=7):
    return 2 * np.random.default_rng(0).standard_normal((rows, COLUMNS)).astype(np.float32)


@pytest.mark.parametrize("read", [as_it_is, turned])
@pytest.mark.parametrize("precision", PAIRWISE_PRECISIONS, ids=described)
def test_a_weight_unpacks_bit_for_bit(precision, read):
    layer = packed(precision)
    found = run(graph_of({"layer": layer}, read), noise())[0]
    expected = layer.weight.numpy()
    np.testing.assert_array_equal(found, expected.T if read is turned else expected)


def test_codes_take_their_bits():
    for grid, bits in GRIDS_OF:
        graph = graph_of({"layer": packed(Precision(bits, grid), 16, 20)}, turned)
        codes = [one for name, one in graph.initializers.items() if name.startswith("layer.codes")]
        assert sum(one.const_value.nbytes for one in codes) == 2 * 20 * bits, (grid, bits)
        assert "layer.weight" not in graph.initializers


@pytest.mark.parametrize(
    ("precision", "most"),
    [
        (Precision(1, "half"), 10.5),
        (Precision(1.6, "symmetric"), 10.8),
        (Precision(2, "half"), 11),
        (Precision(3, "symmetric"), 14.5),
        (Precision(4, "symmetric"), 8),
        (Precision(4, "half"), 12),
        (Precision(4, "asymmetric"), 16),
        (Precision(6, "symmetric"), 16),
        (Precision(8, "symmetric"), 8),
        (Precision(2, "half", input_bits=8), 3),
        (Precision(3, "symmetric", input_bits=8), 6.5),
        (Precision(4, "symmetric", input_bits=8), 1),
        (Precision(8, "symmetric", input_bits=8), 0),
    ],
    ids=str,
)
def test_unpacking_makes_few_bytes_of_a_weight(precision, most):
    """ONNX Runtime holds what all operators make at once; the last float weight is among it."""
    graph = graph_of({"layer": packed(precision, 400, COLUMNS)}, as_it_is)
    model = onnx.shape_inference.infer_shapes(ir.to_proto(ir.Model(graph, ir_version=10)))
    made = {one.name: one.type.tensor_type for one in model.graph.value_info}
    unpacking = [
        node
        for node in model.graph.node
        if node.op_type not in ("Constant", "DequantizeLinear", "Identity")
        and not _does_nothing(node, made)
    ]
    assert sum(_bytes_of(made[node.output[0]]) for node in unpacking) / 8000 <= most + 0.25


def _does_nothing(node, made):
    kinds = [made[name].elem_type for name in (*node.input, *node.output) if name in made]
    return node.op_type == "Cast" and len(kinds) == 2 and len(set(kinds)) == 1


def _bytes_of(found):
    kind = onnx.helper.tensor_dtype_to_np_dtype(found.elem_type)
    return kind.itemsize * prod(one.dim_value for one in found.shape.dim)


PLAIN = [
    Precision(bits, grid, input_bits=inputs)
    for grid, bits in GRIDS_OF
    for inputs in (None, 8)
    if not inputs or (grid != "asymmetric" and (grid, bits) != ("half", 8))
]


@pytest.mark.parametrize("precision", PLAIN, ids=str)
def test_onnx_runtime_is_left_with_the_product_alone(precision, tmp_path):
    read = multiplied_in_8_bits if precision.input_bits else multiplied
    model = ir.Model(graph_of({"layer": packed(precision)}, read), ir_version=10)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "left.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString(), options)
    left = onnx.load(tmp_path / "left.onnx").graph
    operators = Counter(node.op_type for node in left.node)
    if precision.input_bits:
        assert operators == {"QuantizeLinear": 1, "MatMulIntegerToFloat": 1}
    else:
        assert operators == {"MatMul": 1}
        assert [one.data_type for one in left.initializer] == [onnx.TensorProto.FLOAT]


@pytest.mark.parametrize("block", [None, 8])
@pytest.mark.parametrize(("grid", "bits"), GRIDS_OF)
def test_a_weight_unpacks_bit_for_bit_in_openvino(grid, bits, block):
    """It has made w * s + o * s of (w + o) * s, which rounds otherwise."""
    layer = packed(Precision(bits, grid, "block" if block else "channel", block))
    model = ir.Model(graph_of({"layer": layer}, multiplied), ir_version=10)
    compiled = _in_openvino(ir.to_proto(model).SerializeToString())
    found = compiled([np.eye(COLUMNS, dtype=np.float32)])["layer"]
    np.testing.assert_array_equal(found, layer.weight.numpy().T)


@pytest.mark.parametrize("precision", PLAIN, ids=str)
def test_openvino_is_left_with_the_product_alone(precision):
    read = multiplied_in_8_bits if precision.input_bits else multiplied
    model = ir.Model(graph_of({"layer": packed(precision)}, read), ir_version=10)
    compiled = _in_openvino(ir.to_proto(model).SerializeToString())
    operators = [one.get_rt_info() for one in compiled.get_runtime_model().get_ordered_ops()]
    products = [one for one in operators if one["layerType"].value == "FullyConnected"]
    kernels = [one["runtimePrecision"].value for one in products]
    if not sums_overflow(openvino.Core()):
        assert kernels == ["u8" if precision.input_bits else "f32"]
    kinds = {one["layerType"].value for one in operators}
    assert not kinds & {"Gather", "Convert", "Reshape", "StridedSlice"}


def _in_openvino(content):
    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    if sums_overflow(core):
        settings["LP_TRANSFORMS_MODE"] = False
    return core.compile_model(core.read_model(content), "CPU", settings)


@pytest.mark.kernels
@pytest.mark.parametrize("granularity", ["tensor", "channel"])
@pytest.mark.parametrize(
    ("bits", "grid"),
    [(1, "half"), (1.6, "half"), (2, "half"), (2, "symmetric"), (3, "full"), (8, "symmetric")],
)
def test_inputs_and_weights_of_8_bits_multiply_as_in_the_packed_layer(bits, grid, granularity):
    layer = packed(Precision(bits, grid, granularity, input_bits=8))
    inputs = noise()
    found = run(graph_of({"layer": layer}, multiplied_in_8_bits), inputs)[0]
    expected = layer(torch.from_numpy(inputs)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.abs(found - inputs @ layer.weight.numpy().T).max() > 1e-3  # they were rounded


def test_a_convolution_is_stored_too():
    torch.manual_seed(0)
    convolution = torch.nn.Conv1d(4, 6, 5)
    precision = Precision(3, "symmetric", "channel", input_bits=8)
    layer = empty_packed(convolution, precision)
    affine = initial_affine(convolution.weight.detach().flatten(1), precision.quantizer, "max")
    layer.store(convolution.weight, affine, convolution.bias)
    layer.store_range(SPAN)

    def convolved(inputs, weight):
        nodes = rounded(inputs)
        shape = ir.node("Constant", [], {"value": ir.tensor(np.array([1, 4, -1]))})
        whole = ir.node("Reshape", [nodes[-1].outputs[0], shape.outputs[0]])
        return [*nodes, shape, whole, ir.node("Conv", [whole.outputs[0], weight])]

    inputs = noise(8)
    found = run(graph_of({"layer": layer}, convolved), inputs)[0]
    given = torch.from_numpy(inputs).view(1, 4, -1)
    layer.bias = None
    expected = layer(given).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.kernels
@pytest.mark.parametrize(("channels", "groups", "taps"), [(32, 2, 16), (64, 4, 16), (96, 2, 8)])
def test_8_bit_convolutions_with_even_kernels_compute_what_pytorch_does(channels, groups, taps):
    """OpenVINO 2026.4 computes them wrongly on AMX with 8 to 28 channels a group."""
    torch.manual_seed(0)
    convolution = torch.nn.Conv1d(channels, channels, taps, padding=taps // 2, groups=groups)
    precision = Precision(8, "symmetric", input_bits=8)
    layer = empty_packed(convolution, precision)
    affine = initial_affine(convolution.weight.detach().flatten(1), precision.quantizer, "max")
    layer.store(convolution.weight, affine)
    layer.store_range(SPAN)

    def convolved(inputs, weight):
        nodes = rounded(inputs)
        shape = ir.node("Constant", [], {"value": ir.tensor(np.array([1, channels, -1]))})
        whole = ir.node("Reshape", [nodes[-1].outputs[0], shape.outputs[0]])
        settings = {"group": groups, "pads": [taps // 2] * 2}
        return [*nodes, shape, whole, ir.node("Conv", [whole.outputs[0], weight], settings)]

    inputs = noise(channels)
    expected = layer(torch.from_numpy(inputs).view(1, channels, -1)).detach().numpy()
    graph = graph_of({"layer": layer}, convolved)
    content = ir.to_proto(ir.Model(graph, ir_version=10)).SerializeToString()
    stored = onnx.load_from_string(content).graph
    longer = sum(node.op_type == "Concat" for node in stored.node)
    assert longer == (channels // groups < 48)
    np.testing.assert_allclose(run(graph, inputs)[0], expected, rtol=1e-5, atol=1e-5)
    in_openvino = _in_openvino(content)([inputs])["layer"]
    np.testing.assert_allclose(in_openvino, expected, rtol=1e-4, atol=1e-4)


def test_taps_may_stand_before_inputs():
    """As a convolution's weight is where it is computed frames first."""
    convolution = torch.nn.Conv1d(4, 6, 5)
    precision = Precision(3, "asymmetric", "block", 8)
    affine = initial_affine(convolution.weight.detach().flatten(1), precision.quantizer, "max")
    layer = empty_packed(convolution, precision).store(convolution.weight, affine)
    empty = ir.tensor(np.zeros((6, 20), np.float32), name="layer.weight")
    weight = ir.val("layer.weight", ir.DataType.FLOAT, (6, 20), const_value=empty)
    output = ir.node("Identity", [weight])
    output.outputs[0].name, output.outputs[0].type = "y", ir.TensorType(ir.DataType.FLOAT)
    inputs = ir.val("x", ir.DataType.FLOAT, ["n", COLUMNS])
    graph = ir.Graph(
        [inputs], output.outputs, nodes=[output], initializers=[weight], opset_imports={"": 21}
    )
    store_packed(graph, {"layer": layer})
    expected = layer.weight.transpose(1, 2).flatten(1).numpy()
    np.testing.assert_array_equal(run(graph, noise())[0], expected)


@pytest.mark.parametrize(
    ("precision", "why"),
    [
        (Precision(8, "half", input_bits=8), "int8 cannot hold"),
        (Precision(2, "asymmetric", input_bits=8), "has offsets"),
        (Precision(4, "symmetric", "block", 8, input_bits=8), "a scale for every 8 weights"),
    ],
)
def test_what_int8_kernels_cannot_multiply_is_refused_by_name(precision, why):
    with pytest.raises(InputError, match=rf"'encoder\.0\.q' has .*{why}|'encoder\.0\.q' .*{why}"):
        graph_of({"encoder.0.q": packed(precision)}, multiplied)


@pytest.mark.parametrize("precision", PAIRWISE_PRECISIONS, ids=described)
def test_openvino_multiplies_by_what_was_stored(precision):
    """It knows compressed weights by their form, and computed some chains of bytes wrongly."""
    layer, inputs = packed(precision), noise()
    read = multiplied_in_8_bits if precision.input_bits else multiplied
    model = ir.to_proto(ir.Model(graph_of({"layer": layer}, read), ir_version=10))
    compiled = _in_openvino(model.SerializeToString())
    expected = layer(torch.from_numpy(inputs)).detach().numpy()
    np.testing.assert_allclose(compiled([inputs])["layer"], expected, rtol=1e-4, atol=1e-4)
