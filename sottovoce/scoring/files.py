"""Writing a text file so that a reader never sees half of it."""

import os
from pathlib import Path

from sottovoce.errors import InputError


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 beside `path` under a temporary name, then rename it to `path`.

    Raises:
        InputError: the folder does not exist or cannot be written to, or the text holds a
            character that UTF-8 has no form for.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
        os.replace(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise InputError(
            f"{path} cannot be written ({error.strerror}); name a file in a folder that exists"
        ) from error
    except UnicodeEncodeError as error:
        unfinished.unlink(missing_ok=True)
        raise InputError(
            f"{path} cannot be written: UTF-8 has no form for {error.object[error.start]!r}; mend "
            f"the transcript or id that holds it"
        ) from error
