"""A folder of audio files without transcripts: enough to train towards another model's outputs."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import soundfile

from sottovoce.errors import AudioError, InputError
from sottovoce.speech.audio import probe
from sottovoce.speech.corpus import Source, utterance_or_error
from sottovoce.speech.utterance import AudioClip, Utterance

_SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats()} | {
    *(".opus", ".oga", ".aif", ".sph", ".snd")
}
_CLOSED = {".m4a", ".mp4", ".aac", ".wma", ".webm", ".amr", ".mka"}
"""Audio that soundfile does not read."""


def recognises(path: Path) -> bool:
    """A folder with audio in it that is none of the other kinds of folder."""
    marks = ("state.json", "dataset_dict.json")
    return (
        path.is_dir()
        and not any((path / name).exists() for name in marks)
        and next(path.rglob("*.trans.txt"), None) is None
        and any(_is_open(file) for file in _seen(path))
    )


def read(path: Path, transcribed: bool = True) -> list[Utterance | AudioError]:
    """Every file in the folder and below with an audio suffix; its id is its path inside.

    Raises:
        InputError: transcripts are needed, or a file is audio of a kind that cannot be decoded.
    """
    if transcribed:
        raise InputError(
            f"{path} is a folder of audio without transcripts, which is enough to calibrate on "
            "beside --dev and to train on with compress --unlabelled; name a manifest with the "
            "transcripts"
        )
    seen = sorted(_seen(path))
    if closed := next((file for file in seen if file.suffix.lower() in _CLOSED), None):
        raise InputError(
            f"{closed} cannot be decoded here, and would be left out; convert such files to FLAC "
            "or WAV, or move them elsewhere"
        )
    return [utterance_or_error(partial(_utterance, path, one)) for one in seen if _is_open(one)]


def _utterance(folder: Path, file: Path) -> Utterance:
    clip = AudioClip(file)
    return Utterance(file.relative_to(folder).as_posix(), clip, probe(clip), "")


def _is_open(file: Path) -> bool:
    """Whether it has the suffix of a format that soundfile reads."""
    return file.suffix.lower() in _SUFFIXES


def _seen(path: Path) -> Iterator[Path]:
    """All files but hidden ones, such as those that macOS lays beside each."""
    found = (file for file in path.rglob("*") if not file.name.startswith("."))
    return (file for file in found if file.is_file())


SOURCE = Source("a folder of audio files (only where no transcripts are needed)", recognises, read)
