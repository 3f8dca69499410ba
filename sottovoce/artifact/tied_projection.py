"""An output projection that is the embedding of tokens: one weight, kept and quantized once."""

from collections.abc import Container
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import linear


class TiedProjection(nn.Module):
    """y = x E^T, with whatever weight E stands in the embedding's place; it owns no tensor."""

    def __init__(self, parent: nn.Module, name: str) -> None:
        """
        Args:
            parent: the module that holds the embedding, as `name`.
        """
        super().__init__()
        object.__setattr__(self, "_parent", parent)  # not a child: its tensors are stored there
        self._name = name

    @property
    def weight(self) -> Tensor:
        """[tokens, channels]."""
        parent: Any = self.__dict__["_parent"]
        weight: Tensor = getattr(parent, self._name).weight
        return weight

    def forward(self, hidden: Tensor) -> Tensor:
        return linear(hidden, self.weight)


def tied_names(model: Any) -> tuple[str, str] | None:
    """Names of a model's output projection and of the embedding whose weight it shares; None where
    it has none."""
    config = getattr(model, "config", None)  # any module may have packed layers
    if config is None or not (config.is_encoder_decoder and config.tie_word_embeddings):
        return None
    names = {module: name for name, module in model.named_modules()}
    return names[model.get_output_embeddings()], names[model.get_input_embeddings()]


def share_embedding(model: Any, layers: Container[str]) -> None:
    """Let the output projection multiply by what stands in the embedding's place, if it shares its
    weight and the embedding is among these layers."""
    names = tied_names(model)
    if names is None or names[1] not in layers:
        return
    projection, embedding = names
    parent, _, name = embedding.rpartition(".")
    model.set_submodule(projection, TiedProjection(model.get_submodule(parent), name))
    model._tied_weights_keys = None  # what transformers would tie has no weight of its own now
    model.all_tied_weights_keys = {}


def part_embedding(model: Any) -> None:
    """Undo `share_embedding`, where it was done."""
    names = tied_names(model)
    if names is None or not isinstance(model.get_output_embeddings(), TiedProjection):
        return
    projection, embedding = names
    weight: Any = model.get_submodule(embedding).weight
    rows, columns = weight.shape
    linear_layer = nn.Linear(columns, rows, bias=False, device="meta")
    linear_layer.weight = weight
    model.set_submodule(projection, linear_layer)
    del model._tied_weights_keys  # the class's own is seen again
    model.all_tied_weights_keys = model.get_expanded_tied_weights_keys(all_submodels=False)
