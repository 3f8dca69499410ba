"""The files of a checkpoint's weights, before anything of them is read."""

import copy
import json
from pathlib import Path, PurePath
from typing import Any

import torch

from sottovoce.errors import InputError

_SLACK = 1 << 24
"""Numbers of a model that a checkpoint may lack: a new head, an embedding for masks."""


def check_weight_files(folder: Path, config: Any, ctc_class: Any) -> None:
    """Of a folder; nothing is checked of a hub id, whose files come from the hub alone.

    Raises:
        InputError: an index names a file outside the folder, or the config asks for far more
            numbers than the files hold: what is missing would be made up, in memory.
    """
    if not folder.is_dir():
        return
    for index in sorted(folder.glob("*.index.json")):
        _check_index(index)
    held = sum(
        file.stat().st_size
        for pattern in ("*.safetensors", "*.bin")
        for file in folder.glob(pattern)
    )
    config = copy.deepcopy(config)
    config.vocab_size = config.vocab_size or 1  # of a model without a head
    with torch.device("meta"):
        asked = sum(one.numel() for one in ctc_class(config).parameters())
    if held and asked > held + _SLACK:  # each number takes a byte at least
        raise InputError(
            f"config.json asks for a model of {asked:,} numbers, and its files of weights have "
            f"{held:,} bytes; put the config there that the weights were saved with"
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
