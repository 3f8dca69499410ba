"""A dataset that Hugging Face's `datasets` wrote to a folder with `save_to_disk`."""

from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from sottovoce.errors import AudioError, InputError
from sottovoce.speech.audio import probe
from sottovoce.speech.corpus import Source, utterance_or_error
from sottovoce.speech.extras import import_extra
from sottovoce.speech.utterance import AudioClip, Utterance, signature_of

_DICT = "dataset_dict.json"
_TEXT = ("text", "sentence", "transcription", "normalized_text")
_SPEAKER = ("speaker", "speaker_id", "client_id")


def recognises(path: Path) -> bool:
    """A folder with the files that mark a saved `Dataset` or `DatasetDict`."""
    return (path / _DICT).is_file() or (
        (path / "state.json").is_file() and (path / "dataset_info.json").is_file()
    )


def read(path: Path, transcribed: bool = True) -> list[Utterance | AudioError]:
    """Every row's utterance. Encoded audio stays in the dataset until it is decoded.

    An utterance's id is the column "id" or, without one, the row's number.

    Raises:
        InputError: `datasets` is not installed; the folder holds several splits, is damaged or
            lacks a column; or a row has no audio, text or sound file.
    """
    if (path / _DICT).is_file():
        splits = sorted(str(folder) for folder in path.iterdir() if recognises(folder))
        raise InputError(f"{path} holds several splits; name one of them: {', '.join(splits)}")
    datasets = import_extra("datasets", "reading a saved dataset")
    try:
        dataset = datasets.load_from_disk(str(path))
    except Exception as error:  # datasets, pyarrow and json each have their own
        raise InputError(f"{path} cannot be read by datasets: {error!r}") from error
    columns = dataset.column_names
    text = _first(_TEXT, columns)
    if (transcribed and text is None) or "audio" not in columns:
        needed = f'"audio" and one of {_TEXT}' if transcribed else '"audio"'
        raise InputError(f"{path} has the columns {columns}; it needs {needed}")
    undecoded = datasets.Audio(decode=False)  # decoding in `datasets` would need torchcodec
    try:
        audio = dataset.select_columns(["audio"]).cast_column("audio", undecoded)
    except Exception as error:  # of datasets, pyarrow, or that torchcodec is not installed
        kind = dataset.features["audio"]
        raise InputError(f'{path}: column "audio" is {kind}; make it an Audio column') from error
    texts = dataset[text] if text and transcribed else [""] * len(dataset)
    ids = dataset["id"] if "id" in columns else range(len(dataset))
    speaker = _first(_SPEAKER, columns)
    speakers = dataset[speaker] if speaker else [None] * len(dataset)
    utterances: list[Utterance | AudioError] = []
    for row, (name, spoken, by) in enumerate(zip(ids, texts, speakers, strict=True)):
        place = f"{path}, row {row}"
        if not isinstance(spoken, str):
            raise InputError(f'{place}: "{text}" is {spoken!r}; it must be a string')
        speaker_name = "" if by is None else str(by)
        make = partial(_utterance, audio, row, place, str(name), spoken, speaker_name)
        utterances.append(utterance_or_error(make))
    return utterances


def _utterance(audio: Any, row: int, place: str, name: str, spoken: str, speaker: str) -> Utterance:
    clip = _clip(audio, row, place)
    return Utterance(name, clip, probe(clip), spoken, speaker)


def _first(candidates: tuple[str, ...], columns: list[str]) -> str | None:
    return next((name for name in candidates if name in columns), None)


def _clip(audio: Any, row: int, place: str) -> AudioClip:
    encoded = audio[row]["audio"] or {}
    if encoded.get("bytes") is not None:
        signed = signature_of(BytesIO(encoded["bytes"]))
        return AudioClip(partial(_bytes, audio, row), name=place, signed=signed)
    if encoded.get("path") is None:
        raise AudioError(f"{place} has no audio")
    return AudioClip(Path(encoded["path"]))


def _bytes(audio: Any, row: int) -> bytes:
    encoded: bytes = audio[row]["audio"]["bytes"]
    return encoded


SOURCE = Source("a folder written by save_to_disk of Hugging Face's datasets", recognises, read)
