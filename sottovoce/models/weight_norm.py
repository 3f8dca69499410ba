"""Weight norm, which the positional convolution has, folded into one weight."""

from torch import nn
from torch.nn.utils import parametrize


def fold_weight_norm(layer: nn.Module) -> None:
    """Leave an ordinary weight behind; a layer without weight norm stays as it is."""
    if parametrize.is_parametrized(layer, "weight"):
        parametrize.remove_parametrizations(layer, "weight")
