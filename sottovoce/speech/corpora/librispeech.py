"""A folder laid out as LibriSpeech: SPEAKER/CHAPTER/*.trans.txt with FLAC files beside it."""

from functools import partial
from pathlib import Path

from sottovoce.errors import AudioError, InputError
from sottovoce.reading import read_text
from sottovoce.speech.audio import probe
from sottovoce.speech.corpus import Source, utterance_or_error
from sottovoce.speech.utterance import AudioClip, Utterance


def recognises(path: Path) -> bool:
    """A folder with a *.trans.txt anywhere in it."""
    return path.is_dir() and next(path.rglob("*.trans.txt"), None) is not None


def read(path: Path, transcribed: bool = True) -> list[Utterance | AudioError]:  # noqa: ARG001
    """Every transcript's utterances; an utterance's speaker is its id up to the first hyphen.

    Raises:
        InputError: a line is no "ID TRANSCRIPT", or a FLAC file has no transcript.
    """
    lines = [
        (line, transcripts.parent, f"{transcripts}, line {number}")
        for transcripts in sorted(path.rglob("*.trans.txt"))
        for number, line in enumerate(read_text(transcripts).split("\n"), 1)
        if line.strip()
    ]
    spoken = {folder / f"{line.split()[0]}.flac" for line, folder, _ in lines}
    files = sorted(path.rglob("*.flac"))
    silent = [file for file in files if file not in spoken]
    if silent:
        raise InputError(
            f"{path}: {len(silent):,} of {len(files):,} FLAC files have no transcript in a "
            f"*.trans.txt beside them, the first is {silent[0]}; add it, or move such files away"
        )
    return [utterance_or_error(partial(_utterance, *line)) for line in lines]


def _utterance(line: str, folder: Path, place: str) -> Utterance:
    name, _, text = line.strip().partition(" ")
    if not text:
        raise InputError(f"{place} is no id followed by a transcript: {line!r}")
    path = folder / f"{name}.flac"
    if not path.is_file():
        raise AudioError(f"{place}: {name} has no audio; {path} does not exist")
    audio = AudioClip(path)
    return Utterance(name, audio, probe(audio), text, speaker=name.split("-")[0])


SOURCE = Source(
    "a folder laid out as LibriSpeech (*.trans.txt with FLAC files beside it)", recognises, read
)
