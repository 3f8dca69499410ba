import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from sottovoce.export.group_norm import fold_group_norm

CHANNELS = 6


def graph_of(kernel=10, stride=5, groups=CHANNELS, inputs=1, pads=(0, 0)):
    random = np.random.default_rng(0)

    def stored(name, *shape):
        tensor = ir.tensor(random.standard_normal(shape).astype(np.float32), name=name)
        return ir.val(name, ir.DataType.FLOAT, shape, const_value=tensor)

    waveforms = ir.val("x", ir.DataType.FLOAT, ["n", inputs, "samples"])
    weight, gain, shift = stored("w", CHANNELS, inputs, kernel), stored("g", 6), stored("b", 6)
    convolution = ir.node("Conv", [waveforms, weight], {"strides": [stride], "pads": list(pads)})
    norm = ir.node(
        "GroupNormalization",
        [convolution.outputs[0], gain, shift],
        {"num_groups": groups, "epsilon": 1e-5},
    )
    output = ir.node("Identity", norm.outputs)
    output.outputs[0].name, output.outputs[0].type = "y", ir.TensorType(ir.DataType.FLOAT)
    return ir.Graph(
        [waveforms],
        output.outputs,
        nodes=[convolution, norm, output],
        initializers=[weight, gain, shift],
        opset_imports={"": 21},
    )


def run(graph, inputs):
    content = ir.to_proto(ir.Model(graph, ir_version=10)).SerializeToString()
    return onnxruntime.InferenceSession(content).run(None, {"x": inputs})[0]


@pytest.mark.parametrize("samples", [10, 11, 500, 503, 504])
@pytest.mark.parametrize(("kernel", "stride"), [(10, 5), (20, 5), (4, 4)])
def test_the_folded_norm_gives_the_same(kernel, stride, samples):
    if samples < kernel:
        pytest.skip("no frame")
    waveforms = np.random.default_rng(1).standard_normal((2, 1, samples)).astype(np.float32)
    graph = graph_of(kernel, stride)
    expected = run(graph, waveforms)
    fold_group_norm(graph)
    assert not {"Conv", "GroupNormalization"} & {node.op_type for node in graph}
    np.testing.assert_allclose(run(graph, waveforms), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("changes", [{"groups": 3}, {"kernel": 7}, {"inputs": 2}, {"pads": (1, 1)}])
def test_others_stay(changes):
    graph = graph_of(**changes)
    fold_group_norm(graph)
    assert [node.op_type for node in graph] == ["Conv", "GroupNormalization", "Identity"]


def test_what_changes_slowly_is_normalised_too():
    """The variance is then a small difference of large numbers, as it is of speech."""
    white = np.random.default_rng(1).standard_normal(16000)
    slow = np.convolve(white, 0.99 ** np.arange(500), mode="same").astype(np.float32)
    graph = graph_of(10, 5)
    expected = run(graph, slow[None, None])
    fold_group_norm(graph)
    np.testing.assert_allclose(run(graph, slow[None, None]), expected, atol=2e-3)
