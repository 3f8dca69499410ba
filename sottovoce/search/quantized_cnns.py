"""P1's 8-bit "CNNs": what is not an encoder matrix, quantized at one width from the first update.

Convolutional front end, feature projection, positional convolution and head have no choice of
width. They are the same in every network of an update, the full-precision one included.
"""

from torch import Tensor, nn
from torch.nn.utils import parametrize

from sottovoce.errors import naming
from sottovoce.models.recogniser import Recogniser
from sottovoce.models.weight_norm import fold_weight_norm
from sottovoce.plan import Plan, Precision
from sottovoce.quantizers.fake import fake_quantize
from sottovoce.quantizers.learnt import LearntAffine


class FakeQuantizer(nn.Module):
    """A parametrization: the weight becomes what the packed layer will have.

    Attributes:
        affine: scales and offsets, as in `MixedLinear`.
    """

    def __init__(self, weight: Tensor, precision: Precision) -> None:
        super().__init__()
        # Those of a frozen front end never learn, and LSQ's start wastes two of eight bits.
        self.affine = LearntAffine(weight.detach().flatten(1), precision.quantizer, "mse")

    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight.flatten(1).contiguous()
        return fake_quantize(matrix, self.affine(), self.affine.quantizer).view_as(weight)


class QuantizedCnns:
    """Quantizes them in place. A weight norm is folded first: the weight itself trains then.

    Attributes:
        plan: their precisions.
    """

    def __init__(self, recogniser: Recogniser, precision: Precision) -> None:
        self._layers = recogniser.family.cnns(recogniser.model)
        self.plan = Plan(dict.fromkeys(self._layers, precision))
        for name, layer in self._layers.items():
            fold_weight_norm(layer)
            with naming(f"layer {name!r}"):
                quantizer = FakeQuantizer(layer.weight, precision)
            parametrize.register_parametrization(layer, "weight", quantizer)

    @property
    def affines(self) -> dict[str, LearntAffine]:
        """Layer name -> its scales and offsets."""
        return {name: _quantizer(layer).affine for name, layer in self._layers.items()}

    def dismantle(self) -> None:
        """Leave plain layers behind, with the weights that trained."""
        for layer in self._layers.values():
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)


def _quantizer(layer: nn.Module) -> FakeQuantizer:
    quantizer: FakeQuantizer = layer.parametrizations["weight"][0]  # type: ignore[index,assignment]
    return quantizer
