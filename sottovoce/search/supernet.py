"""The supernet: a recogniser whose encoder matrices can be any of their quantized versions.

A step runs several networks that share weights: full precision, mixed, uniform at some width. The
quantized matrices are made once a step; each network multiplies by detached copies of them, so its
graph is freed by its own backward pass; and what arrived at the copies is then pushed through the
quantizers. Memory stays near that of one network.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from sottovoce.errors import InputError, prefix_errors
from sottovoce.models.family import Matrix
from sottovoce.models.recogniser import Recogniser
from sottovoce.quantization.plan import Plan, Precision, Shape
from sottovoce.search.mixed_linear import MixedLinear, mixed_layer

FULL = "full precision"
MIXED = "mixed"
PLAN = "plan"


class Supernet:
    """Puts a `MixedLinear` in the place of every encoder matrix of a recogniser.

    Attributes:
        matrices: what was replaced, input to output.
        layers: the mixed layers by name, in the same order.
        shapes: (rows, columns) by name.

    Args:
        scales: one of `sottovoce.quantization.learned_scales.SCALES`.
        fused: whether the quantizers are compiled.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        candidates: tuple[Precision, ...],
        initial_range: str,
        *,
        scales: str = "learnt",
        fused: bool = False,
    ) -> None:
        self.recogniser = recogniser
        self.candidates = candidates
        self.matrices: list[Matrix] = recogniser.family.encoder_matrices(recogniser.model)
        self.shapes: dict[str, Shape] = recogniser.family.shapes(recogniser.model)
        self.layers: dict[str, MixedLinear] = {}
        for matrix in self.matrices:
            layer = recogniser.model.get_submodule(matrix.name)
            with prefix_errors(f"layer {matrix.name!r}"):
                mixed = mixed_layer(layer, candidates, scales, initial_range, fused)
            recogniser.model.set_submodule(matrix.name, mixed)
            self.layers[matrix.name] = mixed

    def precision(self, bits: float) -> Precision:
        return next(one for one in self.candidates if one.bits == bits)

    def plan(self, bits: Sequence[float]) -> Plan:
        """The plan with these widths, one for each layer in order."""
        return Plan(dict(zip(self.layers, map(self.precision, bits), strict=True)))

    def check(self, plan: Plan) -> None:
        """Raises InputError where a plan from elsewhere does not suit these layers."""
        different = sorted(plan.keys() ^ self.layers.keys())
        if different:
            raise InputError(
                f"the plan is for another model: layer {different[0]!r} is not in both"
            )
        for layer, precision in plan.items():
            if precision not in self.candidates:
                known = ", ".join(str(one) for one in self.candidates)
                raise InputError(
                    f"the plan gives layer {layer!r} {precision}, which is none of the recipe's "
                    f"candidates: {known}"
                )

    def quantize(
        self,
        students: Sequence[float] = (),
        mixtures: Mapping[str, Tensor] | None = None,
        plan: Plan | None = None,
    ) -> "QuantizedStep":
        """Make this step's quantized matrices.

        Args:
            students: widths of the uniform networks that will run.
            mixtures: lambda of each layer, [candidates], where the mixed network will run.
            plan: where the network of a fixed plan will run.
        """
        quantized: dict[str, dict[str | float, Tensor]] = {}
        for name, layer in self.layers.items():
            widths = tuple(sorted({*students, *([plan[name].bits] if plan else [])}))
            results = layer.quantized(widths, mixtures[name] if mixtures else None)
            keys: tuple[str | float, ...] = (*widths, MIXED) if mixtures else widths
            quantized[name] = dict(zip(keys, results, strict=True))
        return QuantizedStep(self.layers, quantized, plan)

    def dismantle(self) -> None:
        """Put plain layers back, with the latent weights: the trained float model."""
        for name, layer in self.layers.items():
            self.recogniser.model.set_submodule(name, layer.plain())

    @contextmanager
    def deployed(self, plan: Plan) -> Iterator[Recogniser]:
        """The recogniser as it would be packed under `plan`: hard weights, eval mode."""
        with torch.no_grad():
            step = self.quantize(plan=plan)
        with self.recogniser.evaluating(), step.running(PLAN):
            yield self.recogniser


class QuantizedStep:
    """The matrices of one step, and the networks that multiply by copies of them."""

    def __init__(
        self,
        layers: Mapping[str, MixedLinear],
        quantized: Mapping[str, Mapping[str | float, Tensor]],
        plan: Plan | None,
    ) -> None:
        self.layers = layers
        self.plan = plan
        self.made = {name: {FULL: layers[name].latent, **own} for name, own in quantized.items()}
        self.copies = {
            name: {key: one.detach().requires_grad_(one.requires_grad) for key, one in own.items()}
            for name, own in self.made.items()
        }

    @contextmanager
    def running(self, network: str | float) -> Iterator[None]:
        """Inside, the recogniser is `network`: FULL, MIXED, PLAN or a student's width."""
        for name, layer in self.layers.items():
            layer.use(self.copies[name][self._key(name, network)])
        try:
            yield
        finally:
            for layer in self.layers.values():
                layer.use(layer.latent)

    def collect(self, network: str | float) -> None:
        """After a network's backward pass: push what arrived at its copies through the quantizers
        to weights, scales and mixtures, and let go of it."""
        made, gradients = [], []
        for name, own in self.copies.items():
            key = self._key(name, network)
            gradient, own[key].grad = own[key].grad, None
            if gradient is not None:
                made.append(self.made[name][key])
                gradients.append(gradient)
        if made:  # else: all layers were dropped
            # The quantizers are needed again by the networks that follow.
            torch.autograd.backward(made, gradients, retain_graph=True)

    def _key(self, layer: str, network: str | float) -> str | float:
        return self.plan[layer].bits if network == PLAN and self.plan is not None else network


def width_groups(matrices: Sequence[Matrix], granularity: str) -> list[int]:
    """Which group each matrix shares its width with: itself, its module or its block."""
    shared: dict[str, Callable[[Matrix], object]] = {
        "matrix": lambda matrix: matrix.name,
        "module": lambda matrix: (matrix.depth, matrix.module),
        "block": lambda matrix: matrix.depth,
    }
    keys = [shared[granularity](matrix) for matrix in matrices]
    order = list(dict.fromkeys(keys))
    return [order.index(key) for key in keys]
