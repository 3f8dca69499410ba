"""The first convolution of wav2vec2-base and its group norm, as one small matrix product.

The convolution has one input channel and its group norm one group a channel, so a channel's mean
and variance over time follow from those of the waveform's windows, and the norm becomes a factor
and a shift of the kernel. With windows x_t [kernel], their mean m and covariance C, kernels W
[channels, kernel], gain g and shift b:

    norm(W x_t) = (g / sqrt(diag(W C W^T) + epsilon)) W (x_t - m) + b

What a runtime would write, read and turn around several times, 65 MB for 10 s of audio, is written
once.
"""

import numpy as np
import onnx_ir as ir

from sottovoce.export.onnx_nodes import Nodes, given

_EVERYTHING = np.iinfo(np.int64).max


def fold_group_norm(graph: ir.Graph) -> None:
    """Replace every such pair; others stay as they are."""
    for norm in [node for node in graph if node.op_type == "GroupNormalization"]:
        convolved, gain, shift = (one for one in norm.inputs if one is not None)
        convolution = convolved.producer()
        if convolution is not None and _folds(convolution, norm):
            folded = _folded(Nodes(graph, norm), convolution, gain, shift, norm)
            norm.outputs[0].replace_all_uses_with(folded)
            graph.remove([norm, convolution], safe=True)


def _folds(convolution: ir.Node, norm: ir.Node) -> bool:
    if convolution.op_type != "Conv":
        return False
    channels, inputs, kernel = _shape(convolution)
    return (
        inputs == 1
        and norm.attributes.get_int("num_groups") == channels
        and kernel % _stride(convolution) == 0
        and not any(convolution.attributes.get_ints("pads", ()))
        and set(convolution.attributes.get_ints("dilations", (1,))) == {1}
    )


def _shape(convolution: ir.Node) -> tuple[int, ...]:
    """Of the weight: channels, inputs, taps."""
    shape = given(convolution, 1).shape
    return tuple(shape.numpy()) if shape is not None else (0, 0, 0)


def _stride(convolution: ir.Node) -> int:
    return convolution.attributes.get_ints("strides", (1,))[0]


def _folded(
    add: Nodes, convolution: ir.Node, gain: ir.Value, shift: ir.Value, norm: ir.Node
) -> ir.Value:
    """[utterances, channels, frames], normalised."""
    channels, _, kernel = _shape(convolution)
    windows = _windows(add, given(convolution, 0), kernel, _stride(convolution))
    frames = add("Cast", add("Shape", windows, start=2, end=3), to=int(ir.DataType.FLOAT))
    mean = add("ReduceMean", windows, add.constant([2]), keepdims=1)
    centred = add("Sub", windows, mean)
    turned = add("Transpose", centred, perm=[0, 2, 1])
    covariance = add("Div", add("MatMul", centred, turned), frames)
    kernels = add("Reshape", given(convolution, 1), add.constant([channels, kernel]))
    products = add("Mul", add("MatMul", kernels, covariance), kernels)
    variance = add("ReduceSum", products, add.constant([2]), keepdims=1)
    epsilon = add.constant(np.float32(norm.attributes.get_float("epsilon", 1e-5)))
    positive = add("Max", variance, add.constant(np.float32(0)))  # rounding may leave less
    deviation = add("Sqrt", add("Add", positive, epsilon))
    column = add.constant([channels, 1])
    factor = add("Div", add("Reshape", gain, column), deviation)
    products = add("MatMul", add("Mul", kernels, factor), centred)
    return add("Add", products, add("Reshape", shift, column))


def _windows(add: Nodes, waveforms: ir.Value, kernel: int, stride: int) -> ir.Value:
    """[utterances, 1, samples] -> [utterances, kernel, frames], what each frame of it sees.

    Blocks of `stride` samples; a window is some of them that follow each other.
    """
    samples = add("Shape", waveforms, start=2, end=3)
    size, blocks = add.constant([stride]), kernel // stride
    whole = add("Mul", add("Div", samples, size), size)
    cut = add("Slice", waveforms, add.constant([0]), whole, add.constant([2]))
    each = add("Reshape", cut, add.constant([0, -1, stride]))
    parts = []
    for first in range(blocks):
        last = first - blocks + 1 or _EVERYTHING
        ends = (add.constant([one]) for one in (first, last, 1))
        parts.append(add("Slice", each, *ends))
    windows = add("Concat", *parts, axis=2) if blocks > 1 else parts[0]
    return add("Transpose", windows, perm=[0, 2, 1])
