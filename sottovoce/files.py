"""Writing a file so that a reader never sees half of it."""

import os
from pathlib import Path

from sottovoce.errors import InputError


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 beside `path` under a temporary name, then rename it to `path`.

    Characters that UTF-8 has no form for (file names with stray bytes) become question marks.

    Raises:
        InputError: the folder does not exist, cannot be written to, or its disk is full.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_text(text, encoding="utf-8", errors="replace", newline="\n")
        os.replace(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise InputError(
            f"{path} cannot be written ({error.strerror}); choose a folder that exists and has room"
        ) from error
