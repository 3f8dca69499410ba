"""Packed layers in a model: which there are, and putting them in place."""

from torch import nn

from sottovoce.artifact.packed_layers import PackedLayer, WeightedLayer, empty_packed
from sottovoce.artifact.tied_projection import share_embedding
from sottovoce.errors import InputError
from sottovoce.quantization.plan import Plan


def packed_layers(model: nn.Module) -> dict[str, PackedLayer]:
    """Layer name -> packed layer, in the model's order."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, PackedLayer)}


def plan_of(model: nn.Module) -> Plan:
    """The plan of a packed model, in the model's order."""
    return Plan({name: layer.precision for name, layer in packed_layers(model).items()})


def planned_layers(model: nn.Module, plan: Plan) -> dict[str, WeightedLayer]:
    """Layer name -> the float layer that `plan` quantizes.

    Raises:
        InputError: the plan names something that is no layer with a weight of the model.
    """
    modules = dict(model.named_modules())
    planned = {}
    for name in plan:
        layer = modules.get(name)
        if not isinstance(layer, WeightedLayer):
            fault = "is not in" if layer is None else f"is a {type(layer).__name__} of"
            raise InputError(
                f"layer {name!r} of the plan {fault} {type(model).__name__}; "
                "a plan must name linear layers, convolutions and embeddings of this model"
            )
        planned[name] = layer
    return planned


def replace_layers(model: nn.Module, plan: Plan) -> None:
    """Put an empty packed layer in the place of every planned one, ready to be loaded into.

    Raises:
        InputError: as `planned_layers`.
    """
    layers = planned_layers(model, plan)
    share_embedding(model, plan)
    for name, layer in layers.items():
        model.set_submodule(name, empty_packed(layer, plan[name]))
