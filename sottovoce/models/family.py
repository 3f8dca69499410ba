"""What the project needs to know of a model family, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from sottovoce.plan import Shape


@dataclass(frozen=True)
class Matrix:
    """One encoder matrix: a *layer* in the papers' sense, with its own bit-width.

    Attributes:
        name: its module's name in the CTC model.
        depth: index of its encoder layer, from 0.
        role: what it does there, as in `Family.matrices`.
        module: "attention" or "feed-forward": what it shares a width with at module granularity.
    """

    name: str
    depth: int
    role: str
    module: str


@dataclass(frozen=True)
class Family:
    """Where a family keeps its parts.

    Attributes:
        model_type: as in a transformers config.
        ctc_class: the transformers class with a CTC head.
        backbone: attribute of the CTC model that holds everything but the head.
        layers: path of the list of encoder layers inside the backbone.
        matrices: role -> path inside one encoder layer, in the order of computation.
        front_end: attribute of the backbone: waveform in, features out; it stays frozen.
        trunk: paths in the backbone of what computes between the front end and the encoder layers.
        trunk_end: path of the last module before the first encoder layer.
        head: path of the output layer in the CTC model.
    """

    model_type: str
    ctc_class: str
    backbone: str
    layers: str
    matrices: Mapping[str, str]
    front_end: str = "feature_extractor"
    trunk: tuple[str, ...] = ("feature_projection", "encoder.pos_conv_embed")
    trunk_end: str = "encoder.dropout"
    head: str = "lm_head"

    def encoder_matrices(self, model: nn.Module) -> list[Matrix]:
        """Every encoder matrix of a CTC model, input to output."""
        prefix = f"{self.backbone}.{self.layers}"
        depths = range(len(model.get_submodule(prefix)))  # type: ignore[arg-type]
        return [
            Matrix(
                name=f"{prefix}.{depth}.{path}",
                depth=depth,
                role=role,
                module="feed-forward" if role.startswith("feed-forward") else "attention",
            )
            for depth in depths
            for role, path in self.matrices.items()
        ]

    def cnns(self, model: nn.Module) -> dict[str, nn.Linear | nn.Conv1d]:
        """P1's "CNNs": every linear layer and convolution outside the encoder layers, by name."""
        parts = [*(f"{self.backbone}.{path}" for path in (self.front_end, *self.trunk)), self.head]
        return {
            f"{part}.{name}".rstrip("."): layer
            for part in parts
            for name, layer in model.get_submodule(part).named_modules()
            if isinstance(layer, nn.Linear | nn.Conv1d)
        }

    def shapes(self, model: nn.Module) -> dict[str, Shape]:
        """(rows, columns) of every encoder matrix."""
        shapes = {}
        for matrix in self.encoder_matrices(model):
            weight: Any = model.get_submodule(matrix.name).weight
            rows, columns = weight.shape
            shapes[matrix.name] = (int(rows), int(columns))
        return shapes


TRANSFORMER_MATRICES = {
    "q": "attention.q_proj",
    "k": "attention.k_proj",
    "v": "attention.v_proj",
    "out": "attention.out_proj",
    "feed-forward in": "feed_forward.intermediate_dense",
    "feed-forward out": "feed_forward.output_dense",
}
"""The six matrices of a Transformer layer as wav2vec 2.0 and its descendants name them."""
