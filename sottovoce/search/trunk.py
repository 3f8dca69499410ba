"""What lies before the first encoder layer, run once for all networks of an update.

The networks of an update differ in the encoder's matrices alone and see the same masks. Feature
projection, SpecAugment, positional convolution and dropout therefore give each of them the same
hidden states: the first network computes them, the others start from them, and their gradients,
added up, go back through the trunk once.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sottovoce.models.recogniser import Recogniser


class SharedTrunk:
    """The trunk of one update: run every network inside `running`, and `backward` at the end."""

    def __init__(self, recogniser: Recogniser) -> None:
        family, backbone = recogniser.family, recogniser.backbone
        self._parts = [backbone.get_submodule(path) for path in family.trunk]
        self._end = None if family.trunk_end is None else backbone.get_submodule(family.trunk_end)
        self._first = recogniser.model.get_submodule(
            family.layer_names(recogniser.model, family.encoder)[0]
        )
        self._outputs: dict[nn.Module, Any] = {}
        self._hidden: Tensor | None = None
        self._start: Tensor | None = None
        self._drawn: list[Tensor] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Inside, a network's forward pass takes the trunk's output from here."""
        with ExitStack() as stack:
            for part in self._parts:
                if self._hidden is None:
                    stack.callback(part.register_forward_hook(self._seen).remove)
                else:
                    stack.enter_context(_giving(part, self._outputs[part]))
            if self._end is None:
                hook = self._first.register_forward_pre_hook(self._handed_in)
            else:
                hook = self._end.register_forward_hook(self._handed_over)
            stack.callback(hook.remove)
            yield

    def backward(self) -> None:
        """Push the gradients of all networks back through the trunk."""
        if self._hidden is not None and self._start is not None and self._start.grad is not None:
            self._hidden.backward(self._start.grad)

    def _seen(self, part: nn.Module, _: Any, output: Any) -> None:
        self._outputs[part] = _blank(output)

    def _handed_in(self, _: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._handed_over(_, inputs, inputs[0]), *inputs[1:])

    def _handed_over(self, _: nn.Module, __: Any, output: Tensor) -> Tensor:
        if self._start is None:
            self._hidden = output
            self._start = output.detach().requires_grad_(output.requires_grad)
            self._drawn = _random_states(output.device)
        else:
            _restore_random_states(self._drawn, output.device)
        return self._start


def _blank(output: Any) -> Any:
    """Something of the same shapes that takes no memory."""
    if isinstance(output, tuple):
        return tuple(_blank(one) for one in output)
    return output.detach().new_zeros(()).expand(output.shape)


@contextmanager
def _giving(part: nn.Module, blank: Any) -> Iterator[None]:
    """Inside, the module computes nothing; SpecAugment may write into what it gives."""
    written = tuple(one.clone() for one in blank) if isinstance(blank, tuple) else blank.clone()
    part.forward = lambda *_, **__: written
    try:
        yield
    finally:
        del part.forward


def _random_states(device: torch.device) -> list[Tensor]:
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def _restore_random_states(states: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
