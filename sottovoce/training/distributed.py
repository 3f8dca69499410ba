"""Several processes that train one model together, a device each, as `accelerate launch` and
`torchrun` start them.

All run the same program on the same arguments. The first leads: it alone writes and speaks. Every
update's batch is shared out, and gradients and loss are those of the whole of it: a recipe means
the same on one device as on eight.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from accelerate.state import PartialState
from torch import Tensor, nn
from torch.distributed import ReduceOp, all_reduce, destroy_process_group, is_initialized

Item = TypeVar("Item")

_PATIENCE = timedelta(days=7)
"""How long the others wait for the leader, which scores and packs alone."""


def process_state() -> PartialState:
    """This process among those that were launched with it; it may be the only one."""
    return PartialState(cpu=not torch.cuda.is_available(), timeout=_PATIENCE)


def leave_process_group() -> None:
    """Leave the others when all is done: a group that is left open can abort its process as that
    ends. Not after a failure, where they may still wait for this one."""
    if is_initialized():
        destroy_process_group()


def is_single_process() -> bool:
    """Whether it is the only one."""
    return bool(process_state().num_processes == 1)


def is_main_process() -> bool:
    """Whether this process writes and speaks."""
    return bool(process_state().is_main_process)


def wait_for_everyone() -> None:
    """Wait until all processes are here."""
    process_state().wait_for_everyone()


@contextmanager
def main_process_first() -> Iterator[None]:
    """Inside, the others come once the leader is through."""
    with process_state().main_process_first():
        yield


def split_between_processes(batch: Sequence[Item]) -> Sequence[Item]:
    """What of a batch this process runs; where there is too little to share, one more time what
    another process runs too."""
    state = process_state()
    own = batch[state.process_index :: state.num_processes]
    return own or [batch[state.process_index % len(batch)]]


def any_process(is_so: bool) -> bool:
    """Whether it is so in any process; all are told at once."""
    if is_single_process():
        return is_so
    found = torch.tensor(float(is_so), device=process_state().device)
    all_reduce(found, ReduceOp.MAX)
    return bool(found)


def all_reduce_gradient(gradient: Tensor | None, like: Tensor, frames: int) -> Tensor | None:
    """The whole batch's gradient of what takes no step by itself; None where no process has one.

    Args:
        gradient: of this process's share, a mean over its frames.
        like: a tensor of its shape.
        frames: in this process's share.
    """
    if is_single_process():
        return gradient
    own = torch.zeros_like(like) if gradient is None else gradient * frames
    sums = torch.cat([own.flatten(), own.new_tensor([frames, gradient is not None])])
    all_reduce(sums)
    *_, total, met = sums.tolist()
    return sums[:-2].view_as(like) / total if met else None


def all_reduce_gradients(parameters: Sequence[nn.Parameter], loss: float, frames: int) -> float:
    """The whole batch's loss; the parameters' gradients become the whole batch's too.

    Both are means over frames. A parameter that has a gradient in no process is left without.

    Args:
        loss: of this process's share, nats a frame.
        frames: in this process's share.
    """
    if is_single_process():
        return loss
    met = [float(one.grad is not None) for one in parameters]
    sums = torch.tensor([frames, frames * loss, *met], device=process_state().device)
    all_reduce(sums)
    total, weighted, *everywhere = sums.tolist()
    reduced = []
    for one, processes in zip(parameters, everywhere, strict=True):
        if processes:
            own = torch.zeros_like(one) if one.grad is None else one.grad * (frames / total)
            one.grad = own
            reduced.append(all_reduce(own, async_op=True))
    for one in reduced:
        one.wait()
    return weighted / total
