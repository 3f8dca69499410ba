"""Runs a recogniser again from some part on, the outputs before it taken from an earlier run.

A sweep quantizes one layer at a time: everything before that layer computes what it did before.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sottovoce.models.features import Features
from sottovoce.models.recogniser import Recogniser


class Replay:
    """One batch of features, run in full precision once, and from any part on again."""

    def __init__(self, recogniser: Recogniser, features: Features) -> None:
        self.recogniser = recogniser
        self.features = features
        self._parts = parts_of(recogniser)
        self._outputs: dict[str, Any] = {}
        with ExitStack() as stack:
            for name, part in self._parts.items():
                stack.callback(part.register_forward_hook(self._keeping(name)).remove)
            self.logits: Tensor = recogniser.logits(features)

    def again(self, changed: str) -> Tensor:
        """The logits, parts before the one that holds layer `changed` not computed."""
        with ExitStack() as stack:
            for name, part in self._parts.items():
                if f"{changed}.".startswith(f"{name}."):
                    break
                stack.enter_context(_giving(part, self._outputs[name]))
            return self.recogniser.logits(self.features)

    def _keeping(self, name: str) -> Any:
        def keep(_: nn.Module, __: Any, output: Any) -> None:
            self._outputs[name] = output

        return keep


def parts_of(recogniser: Recogniser) -> dict[str, nn.Module]:
    """The trunk's parts and the encoder layers by name, in the order of computation."""
    family, model = recogniser.family, recogniser.model
    layers = f"{family.backbone}.{family.layers}"
    names = [f"{family.backbone}.{path}" for path in family.trunk]
    names += [f"{layers}.{depth}" for depth in range(len(model.get_submodule(layers)))]
    return {name: model.get_submodule(name) for name in names}


@contextmanager
def _giving(part: nn.Module, output: Any) -> Iterator[None]:
    """Inside, the part computes nothing; what it gives may be written into."""
    part.forward = lambda *_, **__: _copied(output)
    try:
        yield
    finally:
        del part.forward


def _copied(output: Any) -> Any:
    if isinstance(output, tuple):
        return tuple(_copied(one) for one in output)
    return output.clone() if isinstance(output, torch.Tensor) else output
