"""The state of a training: what it needs to go on after an interruption, written atomically."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from sottovoce.command import how_to_go_on
from sottovoce.errors import InputError
from sottovoce.files import damaged, replace_file, write_text
from sottovoce.training.distributed import is_main_process

_STATE = "state.safetensors"


@dataclass(frozen=True)
class Saved:
    """A training state: tensors by name, and everything else as JSON values."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


class WorkFolder:
    """Where a stage of a run keeps its state.

    Of several processes that train together the leader alone locks and writes it.

    Attributes:
        path: the run's own folder, one inside it, or one that several runs share.
    """

    def __init__(self, path: Path, *, is_shared: bool = False) -> None:
        self.path = path
        self.is_shared = is_shared

    def part(self, name: str) -> "WorkFolder":
        """A folder inside for a further stage of the same run."""
        path = self.path / name
        path.mkdir(exist_ok=True)
        return WorkFolder(path)

    @classmethod
    def shared(cls, folder: Path, name: str, settings: Mapping[str, Any]) -> "WorkFolder":
        """A stage that several runs have in common; whoever comes first trains it.

        Args:
            folder: where such stages are kept.
            settings: what determines the stage; another stage of that name has others.
        """
        wanted = json.dumps(settings, sort_keys=True)
        path = folder / f"{name}, {hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
        path.mkdir(parents=True, exist_ok=True)
        write_text(path / "settings.json", json.dumps(settings, indent=2))
        return cls(path, is_shared=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, no other process trains here. The run's own folders are held by the run.

        Raises:
            InputError: another does.
        """
        with ExitStack() as stack:
            if self.is_shared and is_main_process():
                going_on = f"once it is through, {how_to_go_on()}"
                stack.enter_context(
                    locked(self.path, f"another process is training in {self.path}; {going_on}")
                )
            yield

    def save(self, state: Saved) -> None:
        """Replace the saved state. Raises InputError where the disk is full."""
        if not is_main_process():
            return
        tensors = {
            name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()
        }
        save_tensors(self.path / _STATE, tensors, facts=json.dumps(state.facts))

    def load(self) -> Saved | None:
        """The saved state, or None where training has not come that far.

        Raises:
            InputError: its file is damaged.
        """
        path = self.path / _STATE
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                facts = json.loads(file.metadata()["facts"])
            return Saved(load_file(path), facts)
        except (SafetensorError, TypeError, KeyError, ValueError) as error:
            raise damaged(path, error) from error


@contextmanager
def locked(folder: Path, refusal: str) -> Iterator[None]:
    """Inside, no other process is at work in a folder. One that died holds nothing.

    Raises:
        InputError: another is, in these words.
    """
    try:
        lock = FileLock(folder / "lock").acquire(timeout=0)
    except Timeout as error:
        raise InputError(refusal) from error
    with lock:
        yield


def save_tensors(path: Path, tensors: Mapping[str, Tensor], **metadata: str) -> None:
    """Write a safetensors file that is whole or not there.

    Raises:
        InputError: it cannot be written, for want of room for instance.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.writing")
    try:
        save_file(dict(tensors), temporary, metadata=metadata)
        replace_file(temporary, path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"{path} cannot be written: {error}; make room and try again") from error


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """AdamW's moments and step counts, by position."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{index}.{name}": value
        for index, values in state.items()
        for name, value in values.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put `optimizer_tensors` back."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
