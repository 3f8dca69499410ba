"""The files of a checkpoint's weights, before anything of them is read."""

import copy
import json
from pathlib import Path, PurePath
from typing import Any

import torch

from sottovoce.errors import InputError

_SLACK = 1 << 24
"""Numbers of a model that a checkpoint may lack: a new head, an embedding for masks."""


def check_indices(folder: Path) -> None:
    """Raises InputError where an index of a folder names a file of weights outside of it."""
    for index in sorted(folder.glob("*.index.json")):
        _check_index(index)


def check_size(folder: Path, config: Any, model_class: Any) -> None:
    """Of a folder; the files of a hub id are not here yet.

    Raises:
        InputError: the config asks for far more numbers than the files of weights hold: what is
            missing would be made up, in memory.
    """
    held = sum(
        file.stat().st_size
        for pattern in ("*.safetensors", "*.bin")
        for file in folder.glob(pattern)
    )
    if not held:
        return
    config = copy.deepcopy(config)
    config.vocab_size = config.vocab_size or 1  # of a model without a head
    with torch.device("meta"):
        asked = sum(one.numel() for one in model_class(config).parameters())
    if asked > held + _SLACK:  # each number takes a byte at least
        raise InputError(
            f"{folder}: config.json asks for a model of {asked:,} numbers, and its files of "
            f"weights have {held:,} bytes; put the config there that the weights were saved with"
        )


def _check_index(index: Path) -> None:
    try:
        files = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        names = {PurePath(name) for name in files}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{index.name} is no index of weights; put it there anew") from error
    for name in sorted(names):
        if name.is_absolute() or ".." in name.parts:
            raise InputError(
                f"{index.name} names {name}, which is outside the folder; its weights must be "
                "beside it"
            )
