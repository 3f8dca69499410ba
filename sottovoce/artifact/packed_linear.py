"""A linear layer whose weight is stored as packed codes and scales."""

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from sottovoce.artifact.packing import pack, packed_columns, unpack
from sottovoce.errors import InputError
from sottovoce.plan import Plan, Precision
from sottovoce.quantizers.grids import Grid, grid_of


class PackedLinear(nn.Module):
    """y = x W^T + b with W kept as `Precision.bits` bits a weight.

    `weight` is dequantized by the arithmetic of training (`Grid.values`, float32), so the packed
    layer computes exactly what the fake-quantized one did. It is a property because attention
    implementations, WavLM's among them, read `q_proj.weight` themselves.

    Attributes:
        codes: uint8 [out_features, bytes], laid out as in `sottovoce.artifact.packing`.
        scale: positive, always float32: [out_features], or [1] for granularity "tensor".
        bias: [out_features] or None.
        dtype: of `weight`; follows `.to(dtype)` as a parameter would.
    """

    codes: Tensor
    scale: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        precision: Precision,
        *,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.precision = precision
        self.dtype = dtype or torch.get_default_dtype()
        stored = packed_columns(in_features, precision.bits)
        scales = precision.scales((out_features, in_features))
        codes = torch.zeros(out_features, stored, dtype=torch.uint8, device=device)
        self.register_buffer("codes", codes)
        self.register_buffer("scale", torch.ones(scales, dtype=torch.float32, device=device))
        zeros = torch.zeros(out_features, device=device, dtype=self.dtype) if bias else None
        self.bias = nn.Parameter(zeros) if zeros is not None else None
        self._dequantized: tuple[Tensor, Tensor, Tensor] | None = None

    @classmethod
    def from_weight(
        cls, weight: Tensor, scale: Tensor, precision: Precision, bias: Tensor | None = None
    ) -> Self:
        """Quantize and pack `weight`.

        Args:
            weight: float32 [rows, columns].
            scale: one for each row, or one in all for granularity "tensor"; any shape.

        Raises:
            InputError: the weight is not finite, a scale is not positive, or their number does not
                fit the precision.
        """
        rows, columns = weight.shape
        weight, scale = weight.detach(), scale.detach().float().flatten()
        if scale.numel() != precision.scales((rows, columns)):
            raise InputError(
                f"a weight of {rows} rows has {scale.numel()} scales; granularity "
                f"{precision.granularity!r} needs {precision.scales((rows, columns))}"
            )
        if not weight.isfinite().all() or not (scale.isfinite() & (scale > 0)).all():
            raise InputError("a weight is not finite or its scale is not a positive number")
        layer = cls(
            columns,
            rows,
            precision,
            bias=bias is not None,
            device=weight.device,
            dtype=weight.dtype,
        )
        grid = layer.grid
        codes = grid.round_to_codes(weight, scale.unsqueeze(1)).sub_(grid.lowest)
        layer.codes = pack(codes.to(torch.uint8), precision.bits)
        layer.scale = scale.clone()
        if bias is not None:
            layer.bias = nn.Parameter(bias.detach().clone())
        return layer

    @property
    def grid(self) -> Grid:
        return grid_of(self.precision.grid, self.precision.bits)

    @property
    def unsigned_codes(self) -> Tensor:
        """The codes unpacked, uint8 [out_features, in_features]."""
        return unpack(self.codes, self.precision.bits, self.in_features)

    @property
    def weight(self) -> Tensor:
        """The weight the codes stand for, [out_features, in_features], dequantized on first use."""
        if self._dequantized is not None:
            codes, scale, weight = self._dequantized
            if codes is self.codes and scale is self.scale and weight.dtype == self.dtype:
                return weight
        # A weight made under inference_mode could not serve a later call that records gradients.
        with torch.inference_mode(False), torch.no_grad():
            signed = self.unsigned_codes.float().add_(self.grid.lowest)
            weight = self.grid.values(signed, self.scale.unsqueeze(1)).to(self.dtype)
        self._dequantized = (self.codes, self.scale, weight)
        return weight

    def forward(self, inputs: Tensor) -> Tensor:
        return linear(inputs, self.weight, self.bias)

    def extra_repr(self) -> str:
        precision = self.precision
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, bits={precision.bits}, grid={precision.grid}, "
            f"granularity={precision.granularity}"
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        scale = self.scale
        super()._apply(fn, recurse)
        if self.scale.dtype != torch.float32:
            self.scale = scale.to(self.scale.device)
        self.dtype = fn(torch.empty(0, dtype=self.dtype, device=scale.device)).dtype
        self._dequantized = None
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._dequantized = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_dequantized": None}


def packed_layers(model: nn.Module) -> dict[str, PackedLinear]:
    """Layer name -> packed layer, in the model's order."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, PackedLinear)}


def plan_of(model: nn.Module) -> Plan:
    """The plan of a packed model, in the model's order."""
    return Plan({name: layer.precision for name, layer in packed_layers(model).items()})


def planned_linears(model: nn.Module, plan: Plan) -> dict[str, nn.Linear]:
    """Layer name -> the float layer that `plan` quantizes.

    Raises:
        InputError: the plan names something that is no linear layer of the model.
    """
    modules = dict(model.named_modules())
    linears = {}
    for name in plan:
        layer = modules.get(name)
        if not isinstance(layer, nn.Linear):
            found = "is not in" if layer is None else f"is a {type(layer).__name__} of"
            raise InputError(
                f"layer {name!r} of the plan {found} {type(model).__name__}; "
                "a plan must name linear layers of this model"
            )
        linears[name] = layer
    return linears


def replace_layers(model: nn.Module, plan: Plan) -> None:
    """Put an empty `PackedLinear` in the place of every planned layer, ready to be loaded into.

    Raises:
        InputError: as `planned_linears`.
    """
    for name, linear_layer in planned_linears(model, plan).items():
        packed = PackedLinear(
            linear_layer.in_features,
            linear_layer.out_features,
            plan[name],
            bias=linear_layer.bias is not None,
            device=linear_layer.weight.device,
            dtype=linear_layer.weight.dtype,
        )
        model.set_submodule(name, packed)
