"""A training run's folder: what it needs to go on after an interruption, written atomically."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from sottovoce.errors import InputError
from sottovoce.files import write_text
from sottovoce.training.processes import leader_first, leads

GOES_ON = "the same command goes on (with --resume where it has that flag)"

_STATE = "state.safetensors"


@dataclass(frozen=True)
class Saved:
    """A training state: tensors by name, and everything else as JSON values."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


def unfinished(out: Path) -> Path:
    """Where a run that will make `out` keeps its state until then."""
    return out.with_name(out.name + ".unfinished")


class WorkFolder:
    """Where an unfinished run keeps its state, beside the folder that it will become.

    Of several processes that train together the leader alone locks and writes it.

    Attributes:
        path: the finished folder's name with `.unfinished` behind it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, out: Path, settings: Mapping[str, Any], resume: bool) -> "WorkFolder":
        """Make the work folder of `out`, or find it again.

        Args:
            settings: what determines the run (recipe, data, checkpoint); a run resumes only
                under the same.

        Raises:
            InputError: `out` exists; an unfinished run is there and `resume` was not asked; or it
                was started with other settings.
        """
        with leader_first():
            return cls._opened(out, settings, resume or not leads())

    @classmethod
    def _opened(cls, out: Path, settings: Mapping[str, Any], resume: bool) -> "WorkFolder":
        if out.exists():
            raise InputError(f"{out} exists; choose another --out or delete it")
        path = unfinished(out)
        wanted = json.loads(json.dumps(settings))
        settings_file = path / "settings.json"
        if settings_file.exists():
            if not resume:
                raise InputError(
                    f"{path} holds an interrupted run; give --resume to go on, or delete it"
                )
            found = json.loads(settings_file.read_text())
            different = [key for key in wanted if found.get(key) != wanted[key]]
            if different:
                raise InputError(
                    f"{path} was not started with the same {', '.join(different)}; "
                    "resume with what it was started with or delete it"
                )
        else:
            path.mkdir(parents=True, exist_ok=True)
            write_text(settings_file, json.dumps(wanted, indent=2))
        return cls(path)

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
        return cls(path)

    @contextmanager
    def forgotten_while_empty(self, *and_with: str) -> Iterator[None]:
        """Where what is inside fails or is interrupted with nothing kept yet, the folder goes.

        Args:
            and_with: names of what goes with it where something given cannot be used: it would
                serve no other run, while one that was interrupted wants it again.
        """
        try:
            yield
        except BaseException as error:
            if not leads():
                raise
            useless = and_with if isinstance(error, InputError) else ()
            with suppress(InputError), self.held():  # else another process is at it
                there = {path.name for path in self.path.iterdir()}
                if there <= {"settings.json", "lock", *useless}:
                    shutil.rmtree(self.path)
            raise

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, no other process trains here. One that died holds nothing.

        Raises:
            InputError: another does.
        """
        if not leads():
            yield
            return
        try:
            lock = FileLock(self.path / "lock").acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                f"another process is training in {self.path}; once it is through, {GOES_ON}"
            ) from error
        with lock:
            yield

    def save(self, state: Saved) -> None:
        """Replace the saved state. Raises InputError where the disk is full."""
        if not leads():
            return
        tensors = {
            name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()
        }
        save_tensors(self.path / _STATE, tensors, facts=json.dumps(state.facts))

    def load(self) -> Saved | None:
        """The saved state, or None where training has not come that far."""
        path = self.path / _STATE
        if not path.exists():
            return None
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["facts"])
        return Saved(load_file(path), facts)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], **metadata: str) -> None:
    """Write a safetensors file that is whole or not there.

    Raises:
        InputError: it cannot be written, for want of room for instance.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.writing")
    try:
        save_file(dict(tensors), temporary, metadata=metadata)
        os.replace(temporary, path)
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
