"""A JSON lines manifest, as NeMo writes them."""

from functools import partial
from pathlib import Path
from typing import Any

from sottovoce.errors import AudioError, InputError
from sottovoce.speech.audio import probe
from sottovoce.speech.corpus import Source, utterance_or_error
from sottovoce.speech.records import first_record, numbered_records
from sottovoce.speech.utterance import AudioClip, Utterance

_MOST_SECONDS = 1e9


def recognises(path: Path) -> bool:
    """A .jsonl or .json file whose records have no "type", as those of lhotse have."""
    return (
        path.suffix in (".jsonl", ".json") and path.is_file() and "type" not in first_record(path)
    )


def read(path: Path, transcribed: bool = True) -> list[Utterance | AudioError]:
    """Every line's utterance.

    Raises:
        InputError: a line is broken, lacks a field or has one of the wrong type, or repeats an id.
    """
    utterances: list[Utterance | AudioError] = []
    lines: dict[str, int] = {}
    for number, record in numbered_records(path):
        utterance = utterance_or_error(
            partial(_utterance, record, path.parent, f"{path}, line {number}", transcribed)
        )
        utterances.append(utterance)
        if isinstance(utterance, AudioError):
            continue
        first = lines.setdefault(utterance.id, number)
        if first != number:
            raise InputError(
                f"{path}: lines {first} and {number} have the same id {utterance.id!r}; "
                f'give each its own "id"'
            )
    return utterances


def _utterance(record: dict[str, Any], folder: Path, place: str, transcribed: bool) -> Utterance:
    filepath = _string(record, "audio_filepath", place)
    path = folder / filepath
    if not _is_file(path):
        raise AudioError(f"{place}: {path} does not exist or is not a file")
    start = _seconds(record, "offset", place) or 0.0
    duration = _seconds(record, "duration", place)
    if duration == 0:
        raise InputError(f'{place}: "duration" is 0; leave out utterances without audio')
    audio = AudioClip(path, start, duration if record.get("offset") is not None else None)
    if duration is None:
        duration = probe(audio) - start
        if duration <= 0:
            raise InputError(f'{place}: "offset" is {start:g} s, which is past the end of {path}')
    return Utterance(
        id=_name(record, "id", place, default=_without_suffix(path, folder)),
        audio=audio,
        duration=duration,
        text=_string(record, "text", place) if transcribed else "",
        speaker=_name(record, "speaker", place, default=""),
    )


def _name(record: dict[str, Any], field: str, place: str, default: str) -> str:
    """A string, or a whole number in place of one; pandas writes those as 3.0 beside a gap."""
    value = record.get(field)
    if type(value) is int or (type(value) is float and value.is_integer()):
        return str(int(value))
    return _string(record, field, place, default)


def _string(record: dict[str, Any], field: str, place: str, default: str | None = None) -> str:
    value = record.get(field)
    if value is None:
        value = default
    if value is None:
        raise InputError(f'{place} has no "{field}"')
    if not isinstance(value, str):
        raise InputError(f'{place}: "{field}" is {value!r}; it must be a string')
    return value


def _seconds(record: dict[str, Any], field: str, place: str) -> float | None:
    value = record.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f'{place}: "{field}" is {value!r}; it must be a number of seconds')
    if not 0 <= value <= _MOST_SECONDS:
        raise InputError(f'{place}: "{field}" is {value}; it must be a positive number of seconds')
    return float(value)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def _without_suffix(path: Path, folder: Path) -> str:
    inside = path.relative_to(folder) if path.is_relative_to(folder) else path
    return inside.with_suffix("").as_posix()


SOURCE = Source(
    'a JSON lines manifest (.jsonl), a line {"audio_filepath": ..., "text": ...}', recognises, read
)
