"""Other weights in the place of some layers' own, for a while."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Protocol

from torch import Tensor


class Weighted(Protocol):
    """A layer with a weight, a parameter or not (a weight norm that was folded leaves none)."""

    @property
    def weight(self) -> Tensor: ...


@contextmanager
def replaced_weights(
    layers: Mapping[str, Weighted], weights: Mapping[str, Tensor]
) -> Iterator[None]:
    """Context manager: the layers named in `weights` compute with these.

    Args:
        weights: layer -> a weight of as many elements, of the layer's shape or [rows, columns].
    """
    with ExitStack() as stack:
        for name, weight in weights.items():
            replaced = layers[name].weight
            stack.callback(set_values, replaced, replaced.data)
            set_values(replaced, weight.to(replaced.data).view_as(replaced.data))
        yield


def set_values(tensor: Tensor, values: Tensor) -> None:
    """Give a layer's tensor other values, without a copy and unseen by autograd."""
    tensor.data = values
