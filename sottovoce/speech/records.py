"""JSON lines: one object a line, plain or gzipped."""

import gzip
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sottovoce.errors import InputError
from sottovoce.reading import parse_json

_LONGEST_LINE = 2**24


def numbered_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number from 1, record) of every line that is not blank.

    Raises:
        InputError: a line is no JSON object, or the file is no UTF-8 text or broken gzip.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(iter(partial(lines.readline, _LONGEST_LINE + 1), b""), 1):
                place = f"{path}, line {number}"
                if len(line) > _LONGEST_LINE:
                    raise InputError(f"{place} has more than {_LONGEST_LINE:,} bytes; cut it")
                if line.strip():
                    yield number, _record(line, place)
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
        record = parse_json(line.decode("utf-8-sig"), place)
    except UnicodeDecodeError as error:
        raise InputError(f"{place} is not UTF-8 text; save the file as UTF-8") from error
    if not isinstance(record, dict):
        raise InputError(f"{place} is not a JSON object; write one {{...}} a line")
    return record
