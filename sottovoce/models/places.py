"""Where a model may be: in a folder, or on the hub; told apart without loading anything."""

import re
from pathlib import Path

from sottovoce.errors import InputError

_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")


def refuse_no_place(source: str | Path) -> None:
    """Raises InputError where there is no such folder, and the hub has no id of this form."""
    if not Path(source).exists() and not _HUB_ID.fullmatch(str(source)):
        raise InputError(
            f"cannot read the checkpoint {source}: there is no such folder (give a folder written "
            "by transformers' save_pretrained, or a hub id)"
        )
