"""P1's 8-bit "CNNs": what is not an encoder matrix, quantized at one width from the first update.

Convolutional front end, feature projection, positional convolution and head have no choice of
width. They are the same in every network of an update, the full-precision one included.
"""

from torch import Tensor, nn
from torch.nn.utils import parametrize

from sottovoce.models.recogniser import Recogniser
from sottovoce.models.weight_norm import fold_weight_norm
from sottovoce.plan import Plan, Precision
from sottovoce.quantizers.fake import fake_quantize
from sottovoce.quantizers.grids import grid_of
from sottovoce.quantizers.ranges import initial_scale


class FakeQuantizer(nn.Module):
    """A parametrization: the weight becomes what the packed layer will have.

    Attributes:
        log_scale: [1, 1] or [rows, 1], as in `MixedLinear`.
    """

    def __init__(self, weight: Tensor, precision: Precision) -> None:
        super().__init__()
        self.grid = grid_of(precision.grid, precision.bits)
        matrix = weight.detach().flatten(1)
        # Those of a frozen front end never learn, and LSQ's start wastes two of eight bits.
        scale = initial_scale(matrix, self.grid, precision.granularity, "mse")
        self.log_scale = nn.Parameter(scale.log())

    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight.flatten(1).contiguous()
        return fake_quantize(matrix, self.log_scale.exp(), self.grid).view_as(weight)


class QuantizedCnns:
    """Quantizes them in place. A weight norm is folded first: the weight itself trains then.

    Attributes:
        plan: their precisions.
    """

    def __init__(self, recogniser: Recogniser, precision: Precision) -> None:
        self._layers = recogniser.family.cnns(recogniser.model)
        self.plan = Plan(dict.fromkeys(self._layers, precision))
        for layer in self._layers.values():
            fold_weight_norm(layer)
            quantizer = FakeQuantizer(layer.weight, precision)
            parametrize.register_parametrization(layer, "weight", quantizer)

    @property
    def log_scales(self) -> dict[str, nn.Parameter]:
        """Layer name -> logarithm of its scales."""
        return {name: _quantizer(layer).log_scale for name, layer in self._layers.items()}

    def dismantle(self) -> None:
        """Leave plain layers behind, with the weights that trained."""
        for layer in self._layers.values():
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)


def _quantizer(layer: nn.Module) -> FakeQuantizer:
    quantizer: FakeQuantizer = layer.parametrizations["weight"][0]  # type: ignore[index,assignment]
    return quantizer
