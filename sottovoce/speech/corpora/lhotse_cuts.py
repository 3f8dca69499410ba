"""Lhotse cuts: stretches of recordings, each with one transcript."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sottovoce.errors import InputError
from sottovoce.speech.corpus import Source
from sottovoce.speech.extras import import_extra
from sottovoce.speech.records import first_record, numbered_records
from sottovoce.speech.utterance import AudioClip, Utterance


def recognises(path: Path) -> bool:
    """A .jsonl or .jsonl.gz file whose first record's type is a kind of cut."""
    return (
        path.name.endswith((".jsonl", ".jsonl.gz"))
        and path.is_file()
        and str(first_record(path).get("type")).endswith("Cut")
    )


def read(path: Path, transcribed: bool = True) -> tuple[Utterance, ...]:
    """Every cut's utterance. As in lhotse, relative paths start at the working folder.

    Raises:
        InputError: lhotse is not installed, or a cut cannot be mapped: it is no `MonoCut` with one
            supervision and a text, or its recording is no single one-channel file, as it is.
    """
    deserialize = import_extra("lhotse", "reading lhotse cuts").serialization.deserialize_item
    return tuple(
        _utterance(record, deserialize, f"{path}, line {number}", transcribed)
        for number, record in numbered_records(path)
    )


def _utterance(
    record: dict[str, Any], deserialize: Callable[..., Any], place: str, transcribed: bool
) -> Utterance:
    try:
        cut = deserialize(record)
    except Exception as error:  # whatever a record that is not lhotse's happens to hit there
        raise InputError(f"{place} is not valid in lhotse: {error!r}") from error
    if type(cut).__name__ != "MonoCut":
        raise InputError(
            f"{place}: {type(cut).__name__} is not understood, only MonoCut; save it as audio first"
        )
    spoken = cut.supervisions[0] if len(cut.supervisions) == 1 else None
    if transcribed and (spoken is None or spoken.text is None):
        raise InputError(
            f"{place}: cut {cut.id!r} has no single supervision with a text; "
            f"apply trim_to_supervisions first"
        )
    return Utterance(
        id=cut.id,
        audio=AudioClip(_file(cut, place), float(cut.start), float(cut.duration)),
        duration=float(cut.duration),
        text=(spoken and spoken.text) or "",
        speaker=(spoken and spoken.speaker) or "",
    )


def _file(cut: Any, place: str) -> Path:
    recording = cut.recording
    kinds = [] if recording is None else [source.type for source in recording.sources]
    if kinds != ["file"] or recording.transforms or recording.num_channels != 1:
        raise InputError(
            f"{place}: cut {cut.id!r} is not of one file with one channel and no transforms; "
            f"save its audio with save_audios first"
        )
    path = Path(recording.sources[0].source)
    if not path.is_file():
        raise InputError(f"{place}: {path} does not exist or is not a file")
    return path


SOURCE = Source("lhotse cuts (.jsonl or .jsonl.gz)", recognises, read)
