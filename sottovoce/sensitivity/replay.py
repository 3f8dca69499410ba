"""Run a recogniser again from some part on, the outputs before it taken from an earlier run.

A sweep quantizes one layer at a time: everything before that layer computes what it did before.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sottovoce.models.family import Stack
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
        with self.running(changed, self._parts):
            return self.recogniser.logits(self.features)

    def texts(self, changed: str) -> list[str | None]:
        """The transcripts, likewise; a decoder's layers are all computed, token by token."""
        with self.running(changed, encoder_parts(self.recogniser)):
            return self.recogniser.head.texts(self.recogniser, self.features)

    @contextmanager
    def running(self, changed: str, parts: Iterable[str]) -> Iterator[None]:
        """Context manager: of these parts those before layer `changed` give what they gave."""
        with ExitStack() as stack:
            for name in parts:
                if f"{changed}.".startswith(f"{name}."):
                    break
                stack.enter_context(_giving(self._parts[name], self._outputs[name]))
            yield

    def _keeping(self, name: str) -> Any:
        def keep(_: nn.Module, __: Any, output: Any) -> None:
            self._outputs[name] = output

        return keep


def parts_of(recogniser: Recogniser) -> dict[str, nn.Module]:
    """Trunk, encoder and decoder: parts by name, in the order of computation."""
    names = encoder_parts(recogniser)
    if recogniser.family.decoder is not None:
        names += _parts_of_stack(recogniser, recogniser.family.decoder)
    return {name: recogniser.model.get_submodule(name) for name in names}


def encoder_parts(recogniser: Recogniser) -> list[str]:
    """Names of the trunk's parts and the encoder's, in the order of computation."""
    family = recogniser.family
    trunk = [f"{family.backbone}.{path}" for path in family.trunk]
    return trunk + _parts_of_stack(recogniser, family.encoder)


def _parts_of_stack(recogniser: Recogniser, stack: Stack) -> list[str]:
    family = recogniser.family
    tables = [f"{family.backbone}.{path}" for path in stack.tables]
    return tables + family.layer_names(recogniser.model, stack)


@contextmanager
def _giving(part: nn.Module, output: Any) -> Iterator[None]:
    """Context manager: the part computes nothing; what it gives may be written into."""
    part.forward = lambda *_, **__: _copied(output)
    try:
        yield
    finally:
        del part.forward


def _copied(output: Any) -> Any:
    if isinstance(output, tuple):
        return tuple(map(_copied, output))
    return output.clone() if isinstance(output, torch.Tensor) else output
