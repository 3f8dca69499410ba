"""JSON lines: one object a line, plain or gzipped."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sottovoce.errors import InputError


def numbered_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number from 1, record) of every line that is not blank.

    Raises:
        InputError: a line is no JSON object, or the file is no UTF-8 text or broken gzip.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, _record(line, f"{path}, line {number}")
    except (OSError, EOFError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def first_record(path: Path) -> dict[str, Any]:
    """The first record of a file, empty where there is none: a look that never raises."""
    try:
        return next(numbered_records(path), (1, {}))[1]
    except InputError:
        return {}


def _record(line: bytes, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{place} is not UTF-8 text; save the file as UTF-8") from error
    except (ValueError, RecursionError) as error:  # JSONDecodeError; a number of 5,000 digits
        raise InputError(f"{place} is not valid JSON: {error}") from error
    if not isinstance(record, dict):
        raise InputError(f"{place} is not a JSON object; write one {{...}} a line")
    return record
