"""Reading text that someone else wrote: regular files only, and no more than memory holds."""

import json
import tomllib
from pathlib import Path
from typing import Any

from sottovoce.errors import InputError

MOST_BYTES = 256 * 2**20
"""Of a text that is read whole. Manifests are read line by line."""


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """A file's text.

    Raises:
        InputError: it is missing, no regular file (a pipe or a device would be read for ever),
            larger than `most_bytes`, or not UTF-8.
    """
    try:
        if not path.is_file():
            raise InputError(f"{path} does not exist or is not a file")
        size = path.stat().st_size
        if size > most_bytes:
            raise InputError(
                f"{path} has {size:,} bytes, where at most {most_bytes:,} are read; is it the "
                "right file?"
            )
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error}; save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> Any:
    """A JSON file's value.

    Raises:
        InputError: as `read_text`, or it is not valid JSON, or nested too deeply.
    """
    return parse_json(read_text(path, most_bytes), str(path))


def parse_json(text: str, place: str) -> Any:
    """A JSON value.

    Raises:
        InputError: it is none; the message begins with `place`.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise InputError(f"{place} is nested too deeply to be read") from error
    except ValueError as error:  # JSONDecodeError, or a number of thousands of digits
        raise InputError(f"{place} is not valid JSON: {error}") from error


def parse_toml(text: str) -> dict[str, Any]:
    """A TOML table.

    Raises:
        InputError: it is none, or nested too deeply.
    """
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise InputError("it is nested too deeply to be read") from error
    except ValueError as error:
        raise InputError(str(error)) from error
