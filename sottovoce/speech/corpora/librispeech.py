"""A folder laid out as LibriSpeech: SPEAKER/CHAPTER/*.trans.txt with FLAC files beside it."""

from pathlib import Path

from sottovoce.errors import InputError
from sottovoce.speech.audio import probe
from sottovoce.speech.corpus import Source
from sottovoce.speech.utterance import AudioClip, Utterance


def recognises(path: Path) -> bool:
    """A folder with a *.trans.txt anywhere in it."""
    return path.is_dir() and next(path.rglob("*.trans.txt"), None) is not None


def read(path: Path, transcribed: bool = True) -> tuple[Utterance, ...]:  # noqa: ARG001
    """Every transcript's utterances; an utterance's speaker is its id up to the first hyphen.

    Raises:
        InputError: a line is no "ID TRANSCRIPT", or the audio of one is missing or not sound.
    """
    return tuple(
        _utterance(line, transcripts.parent, f"{transcripts}, line {number}")
        for transcripts in sorted(path.rglob("*.trans.txt"))
        for number, line in enumerate(_lines(transcripts), 1)
        if line.strip()
    )


def _lines(transcripts: Path) -> list[str]:
    try:
        return transcripts.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{transcripts} cannot be read as UTF-8 text: {error}") from error


def _utterance(line: str, folder: Path, place: str) -> Utterance:
    name, _, text = line.strip().partition(" ")
    if not text:
        raise InputError(f"{place} is no id followed by a transcript: {line!r}")
    path = folder / f"{name}.flac"
    if not path.is_file():
        raise InputError(f"{place}: {name} has no audio; {path} does not exist")
    audio = AudioClip(path)
    return Utterance(name, audio, probe(audio), text, speaker=name.split("-")[0])


SOURCE = Source(
    "a folder laid out as LibriSpeech (*.trans.txt with FLAC files beside it)", recognises, read
)
