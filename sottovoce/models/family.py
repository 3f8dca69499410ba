"""What the project needs to know of a model family, as one value."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from sottovoce.artifact.packed_layers import WeightedLayer
from sottovoce.config.decoding import Decoding
from sottovoce.models.front_ends import FrontEnd, WaveformConvolutions
from sottovoce.models.head import Head
from sottovoce.models.heads.ctc import CtcHead
from sottovoce.quantization.plan import Shape


@dataclass(frozen=True)
class Matrix:
    """One encoder matrix: a *layer* in the papers' sense, with its own bit-width.

    Attributes:
        name: its module's name in the CTC model.
        depth: index of its encoder layer, from 0.
        role: what it does there, as in `Family.matrices`.
        module: the part of the layer that holds it, such as "attention": what it shares a width
            with at module granularity.
    """

    name: str
    depth: int
    role: str
    module: str


@dataclass(frozen=True)
class Stack:
    """Layers of one form, one behind another.

    Attributes:
        layers: path of their list inside the backbone.
        matrices: role -> path inside one layer, in the order of computation. One that a
            checkpoint's layers do not have, such as the projection of positions, is passed over.
        convolutions: paths inside one layer of its depthwise convolutions.
        tables: paths in the backbone of the embeddings that the first layer's inputs come from.
    """

    layers: str
    matrices: Mapping[str, str]
    convolutions: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Family:
    """Where a family keeps its parts.

    Attributes:
        model_type: as in a transformers config.
        model_class: the transformers class, head included; `auto_class` finds it by its config.
        backbone: attribute of the model that holds everything but the head.
        encoder: its layers, whose matrices are quantized.
        decoder: likewise, where the head is an attention decoder.
        processor: the transformers class of its processor.
        front_end: waveform in, features out; it stays frozen.
        trunk: paths in the backbone of what computes between the front end and the encoder layers.
        trunk_end: path of the last module before the first encoder layer; None where no module's
            output is what goes into that layer.
        head: path of the output layer in the model.
        head_of: reads the head's meaning, (model, processor, decoding) -> Head.
        masks_convolutions: whether the model itself keeps padding from these.
        unused: paths in the backbone of what a checkpoint holds and no output depends on.
    """

    model_type: str
    model_class: str
    backbone: str
    encoder: Stack
    decoder: Stack | None = None
    auto_class: str = "AutoModelForCTC"
    processor: str = "Wav2Vec2Processor"
    front_end: FrontEnd = field(default_factory=WaveformConvolutions)
    trunk: tuple[str, ...] = ("feature_projection", "encoder.pos_conv_embed")
    trunk_end: str | None = "encoder.dropout"
    head: str = "lm_head"
    head_of: Callable[[Any, Any, Decoding], Head] = CtcHead.of
    masks_convolutions: bool = True
    unused: tuple[str, ...] = ()

    def encoder_matrices(self, model: nn.Module) -> list[Matrix]:
        """Every matrix of the encoder's layers, and of the decoder's, input to output."""
        return [
            Matrix(name, depth, role, stack.matrices[role].split(".")[0])
            for depth, (stack, layer) in enumerate(self._stacked(model))
            for role, name in self._inside(model, layer, stack.matrices)
        ]

    def depthwise(self, model: nn.Module) -> dict[str, nn.Module]:
        """The depthwise convolutions of all encoder layers, by name."""
        return {
            name: model.get_submodule(name)
            for stack, layer in self._stacked(model)
            for _, name in self._inside(model, layer, {path: path for path in stack.convolutions})
        }

    def layer_names(self, model: nn.Module, stack: Stack) -> list[str]:
        """Names of a stack's layers in the model."""
        layers = f"{self.backbone}.{stack.layers}"
        return [f"{layers}.{name}" for name, _ in model.get_submodule(layers).named_children()]

    def padding_sensitive_convolutions(self, model: nn.Module) -> list[nn.Module]:
        """Convolutions that take in what follows an utterance's end in a batch: the depthwise ones
        where the model does not mask them, and a positional one behind a batch norm, which makes
        something of the zeros that transformers puts there."""
        layers = {} if self.masks_convolutions else self.depthwise(model)
        trunk: list[Any] = [model.get_submodule(f"{self.backbone}.{path}") for path in self.trunk]
        normed = [part.conv for part in trunk if getattr(part, "batch_norm", None) is not None]
        return [*layers.values(), *normed]

    def cnns(self, model: nn.Module) -> dict[str, WeightedLayer]:
        """xu2025's "CNNs", by name: front end, trunk, head, tables, depthwise convolutions."""
        tables = [path for stack in self.stacks for path in stack.tables]
        outside = (*self.front_end.modules, *self.trunk, *tables, *self.unused)
        parts = [*(f"{self.backbone}.{path}" for path in outside), *self.depthwise(model)]
        layers: dict[str, WeightedLayer] = {}
        for part in (*parts, self.head):
            for name, layer in model.get_submodule(part).named_modules():
                if isinstance(layer, WeightedLayer) and not _is_tied(layer, layers.values()):
                    layers[f"{part}.{name}".rstrip(".")] = layer
        return layers

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """The encoder, and the decoder where there is one."""
        return (self.encoder,) if self.decoder is None else (self.encoder, self.decoder)

    def _stacked(self, model: nn.Module) -> list[tuple[Stack, str]]:
        """Every layer's stack and name, input to output."""
        return [(stack, name) for stack in self.stacks for name in self.layer_names(model, stack)]

    def _inside(
        self, model: nn.Module, layer: str, paths: Mapping[str, str]
    ) -> list[tuple[str, str]]:
        """(key, full name) of the paths that a layer has."""
        present = {name for name, _ in model.get_submodule(layer).named_modules()}
        return [(key, f"{layer}.{path}") for key, path in paths.items() if path in present]

    def shapes(self, model: nn.Module) -> dict[str, Shape]:
        """(rows, columns) of every matrix of `encoder_matrices`."""
        shapes = {}
        for matrix in self.encoder_matrices(model):
            weight: Any = model.get_submodule(matrix.name).weight
            rows, columns = weight.flatten(1).shape
            shapes[matrix.name] = (int(rows), int(columns))
        return shapes


def _is_tied(layer: WeightedLayer, others: Iterable[WeightedLayer]) -> bool:
    """Whether a layer's weight is the very one of another: an embedding's, in an output layer."""
    return isinstance(layer, nn.Linear) and any(
        isinstance(other, nn.Embedding) and layer.weight is other.weight for other in others
    )


def is_pointwise(layer: nn.Module) -> bool:
    """Whether a layer is a convolution that sees one frame at a time: a matrix."""
    return isinstance(layer, nn.Conv1d) and layer.kernel_size == (1,) and layer.groups == 1


TRANSFORMER_MATRICES = {
    "q": "attention.q_proj",
    "k": "attention.k_proj",
    "v": "attention.v_proj",
    "out": "attention.out_proj",
    "feed-forward in": "feed_forward.intermediate_dense",
    "feed-forward out": "feed_forward.output_dense",
}
"""The six matrices of a Transformer layer as wav2vec 2.0 and its descendants name them."""

_FEED_FORWARDS = {
    n: {
        f"feed-forward {n} in": f"ffn{n}.intermediate_dense",
        f"feed-forward {n} out": f"ffn{n}.output_dense",
    }
    for n in (1, 2)
}

CONFORMER_MATRICES = {
    **_FEED_FORWARDS[1],
    "q": "self_attn.linear_q",
    "k": "self_attn.linear_k",
    "v": "self_attn.linear_v",
    "positions": "self_attn.linear_pos",
    "out": "self_attn.linear_out",
    "pointwise 1": "conv_module.pointwise_conv1",
    "pointwise 2": "conv_module.pointwise_conv2",
    **_FEED_FORWARDS[2],
}
"""The matrices of a Conformer layer as Wav2Vec2Conformer and w2v-BERT name them."""
