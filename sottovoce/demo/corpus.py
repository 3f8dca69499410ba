"""A corpus of read English, spoken on the spot: many voices, mild noise, no download.

    folder/train.jsonl, folder/dev.jsonl    manifests; audio paths are relative to them
    folder/train/, folder/dev/              16 kHz FLAC
    folder/corpus.json                      how it was spoken, and its size

What it shows is how a recogniser is compressed, not how well one does on people: synthetic speech
from a small grammar is easy, and a word error rate on it says nothing about any other speech.
"""

import json
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from sottovoce.demo import espeak
from sottovoce.demo.sentences import draw_sentences
from sottovoce.demo.voices import DEV_VOICES, TRAIN_VOICES
from sottovoce.errors import InputError
from sottovoce.version import __version__

SAMPLE_RATE = 16000
SECONDS_PER_SENTENCE = 2.65
"""Mean over the voices, rates and sentences drawn: hours ask for a number of sentences, so that
which ones are spoken never depends on how long they took."""

RATES = (110, 180)
"""Slowest and fastest, words a minute."""
PITCHES = (25, 75)
SIGNAL_TO_NOISE = (10.0, 30.0)
"""White noise, dB below the speech."""
PEAKS = (-24.0, -3.0)
"""Loudest sample, dB of full scale."""


class Corpus(NamedTuple):
    """The manifests of the two parts; no voice and no sentence stands in both."""

    train: Path
    dev: Path


def speak_corpus(
    folder: str | Path, *, hours_train: float = 1.0, hours_dev: float = 0.15, seed: int = 0
) -> Corpus:
    """Speak a corpus into `folder`, or find there the one that the same call spoke earlier.

    The folder appears only when it is complete. Every manifest line holds id, audio_filepath,
    duration in seconds, text and speaker (the voice). The same arguments always give the same
    texts, voices and settings; the audio is the same bit for bit when it is the first that a
    process speaks, and differs by inaudible flutter otherwise.

    Args:
        hours_train, hours_dev: about how much speech; one hour takes some ten seconds.
        seed: of every random choice, 0 or above.

    Raises:
        InputError: espeakng-loader is not installed, an argument is out of range, or `folder`
            holds something else.
    """
    for hours, name in ((hours_train, "hours_train"), (hours_dev, "hours_dev")):
        if not 0 < hours < inf:
            raise InputError(f"{name} is {hours}; it must be a number above 0")
    if seed < 0:
        raise InputError(f"seed is {seed}; it must be 0 or above")
    folder = Path(folder).resolve()
    parameters = {
        "sottovoce": __version__,
        "hours_train": hours_train,
        "hours_dev": hours_dev,
        "seed": seed,
    }
    if not _is_spoken(folder, parameters):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            unfinished = Path(scratch) / folder.name
            _speak_parts(unfinished, hours_train, hours_dev, seed, parameters)
            unfinished.replace(folder)
    return Corpus(folder / "train.jsonl", folder / "dev.jsonl")


def _is_spoken(folder: Path, parameters: dict[str, Any]) -> bool:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        found = json.loads((folder / "corpus.json").read_text())["parameters"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder} exists and holds no spoken corpus; name another folder"
        ) from error
    if found != parameters:
        raise InputError(
            f"{folder} holds a corpus spoken with {found}, not {parameters}; "
            "name another folder or delete that one"
        )
    return True


def _speak_parts(
    folder: Path, hours_train: float, hours_dev: float, seed: int, parameters: dict[str, Any]
) -> None:
    generator = np.random.default_rng(seed)
    dev = draw_sentences(_count(hours_dev), generator)
    train = draw_sentences(_count(hours_train), generator, avoid=dev)
    sizes = {
        "train": _speak_part(folder, "train", train, TRAIN_VOICES, generator),
        "dev": _speak_part(folder, "dev", dev, DEV_VOICES, generator),
    }
    record = {"parameters": parameters, **sizes}
    (folder / "corpus.json").write_text(json.dumps(record, indent=2) + "\n")


def _count(hours: float) -> int:
    return max(1, round(hours * 3600 / SECONDS_PER_SENTENCE))


def _speak_part(
    folder: Path,
    part: str,
    sentences: list[str],
    voices: tuple[str, ...],
    generator: np.random.Generator,
) -> dict[str, float]:
    """Speak one part and write its manifest; returns its size."""
    (folder / part).mkdir(parents=True)
    entries: list[dict[str, Any]] = []
    # Each utterance has its own stream: its length must not shift the choices of the next.
    for number, (text, stream) in enumerate(
        zip(sentences, generator.spawn(len(sentences)), strict=True)
    ):
        voice = voices[stream.integers(len(voices))]
        audio = _record(text, voice, stream)
        name = f"{part}-{number:05d}"
        audio_file = f"{part}/{name}.flac"
        soundfile.write(folder / audio_file, audio, SAMPLE_RATE, subtype="PCM_16")
        entries.append(
            {
                "id": name,
                "audio_filepath": audio_file,
                "duration": len(audio) / SAMPLE_RATE,
                "text": text,
                "speaker": voice,
            }
        )
    lines = (json.dumps(entry) + "\n" for entry in entries)
    (folder / f"{part}.jsonl").write_text("".join(lines))
    words = [word for text in sentences for word in text.split()]
    return {
        "utterances": len(entries),
        "words": len(words),
        "distinct_words": len(set(words)),
        "voices": len({entry["speaker"] for entry in entries}),
        "hours": round(sum(entry["duration"] for entry in entries) / 3600, 3),
    }


def _record(text: str, voice: str, generator: np.random.Generator) -> NDArray[np.float32]:
    """Speak with a random rate and pitch into a random noise and loudness; (samples,) at 16 kHz."""
    rate = int(generator.integers(*RATES, endpoint=True))
    pitch = int(generator.integers(*PITCHES, endpoint=True))
    signal_to_noise = generator.uniform(*SIGNAL_TO_NOISE)
    peak = generator.uniform(*PEAKS)
    speech = soxr.resample(espeak.speak(text, voice, rate, pitch), espeak.SAMPLE_RATE, SAMPLE_RATE)
    noise = generator.standard_normal(len(speech), dtype=np.float32)
    noisy = speech + noise * _gain(-signal_to_noise) * np.sqrt(np.mean(speech**2))
    return (noisy * (_gain(peak) / np.abs(noisy).max())).astype(np.float32)


def _gain(decibels: float) -> float:
    return float(10 ** (decibels / 20))
