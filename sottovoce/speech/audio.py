"""Encoded audio -> mono float samples at the model's sampling rate."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from sottovoce.errors import AudioError
from sottovoce.speech.utterance import AudioClip, Utterance, in_utf8

Samples = npt.NDArray[np.float32]
"""[samples], mono, full scale at 1."""

_LONGEST_FILE = 24 * 3600.0
_BLOCK_SECONDS = 10
_RATES = (1_000, 768_000)
_MOST_CHANNELS = 64
_LOUDEST = 2.0**31
"""Full scale of the widest whole numbers, which some write as floats. The squares of what is far
beyond are not finite, and normalising divides by their mean: silence."""


def read_utterance(utterance: Utterance, sampling_rate: int) -> Samples:
    """An utterance's samples, as `read_audio`, checked against the duration its corpus states.

    A truncated WAV or Ogg file often opens as a shorter, sound one: the corpus alone knows better.
    And batches are cut by the stated durations, so a longer file would break their limit.

    Raises:
        AudioError: as `read_audio`; or the durations differ by more than 0.1 s + 2%.
    """
    _check_duration(utterance, length(utterance.audio))  # before hours of it are in memory
    samples = read_audio(utterance.audio, sampling_rate)
    _check_duration(utterance, len(samples) / sampling_rate)
    return samples


def check_utterance(utterance: Utterance) -> None:
    """See that an utterance can be read, without decoding more than its last second.

    A file that was cut short shows there, or in its length.

    Raises:
        AudioError: as `read_utterance`; what is broken in the middle of a file is not seen.
    """
    _check_duration(utterance, length(utterance.audio))
    with _opened(utterance.audio) as file:
        begin, end = _span(utterance.audio, file)
        file.seek(max(begin, end - file.samplerate))
        wanted = end - file.tell()
        if len(file.read(wanted, dtype="float32", always_2d=True)) < wanted:
            raise AudioError(f"{utterance.audio} is truncated: its end cannot be decoded")


def _check_duration(utterance: Utterance, duration: float) -> None:
    if abs(duration - utterance.duration) > 0.1 + 0.02 * utterance.duration:
        raise AudioError(
            f"{utterance.audio} has {duration:.2f} s of audio where its corpus states "
            f"{utterance.duration:.2f} s for utterance {utterance.id!r}: "
            f"the file is truncated or the stated duration wrong"
        )


def read_audio(clip: AudioClip, sampling_rate: int) -> Samples:
    """Decode a clip, average its channels, and resample it where needed.

    Args:
        sampling_rate: of the result, Hz.

    Returns:
        [samples], float32.

    Raises:
        AudioError: the file is missing, no audio, truncated, undecodable, without samples, or has
            samples that are not finite numbers, or beyond any scale.
    """
    samples = np.concatenate([np.empty(0, np.float32), *read_blocks(clip, sampling_rate)])
    if len(samples) == 0:
        raise AudioError(f"{clip} has no samples from {clip.start:g} s on")
    return samples


def read_blocks(clip: AudioClip, sampling_rate: int) -> Iterator[Samples]:
    """The samples of `read_audio`, decoded as they are asked for: no clip is too long for it.

    Yields:
        [samples], float32, of some seconds each.

    Raises:
        AudioError: as `read_audio`, where decoding comes upon it.
    """
    with _opened(clip) as file:
        rate = file.samplerate
        first, last = _span(clip, file)
        wanted = last - first
        resampler = soxr.ResampleStream(rate, sampling_rate, num_channels=1)
        file.seek(first)
        for begin in range(0, wanted, _BLOCK_SECONDS * rate):
            end = min(begin + _BLOCK_SECONDS * rate, wanted)
            channels = file.read(end - begin, dtype="float32", always_2d=True)
            if len(channels) < end - begin:
                raise AudioError(
                    f"{clip} is truncated: {begin + len(channels)} samples could be decoded of "
                    f"{wanted}"
                )
            if not np.isfinite(channels).all():
                raise AudioError(
                    f"{clip} has samples that are not finite numbers; write the file anew"
                )
            if np.abs(channels).max(initial=0) > _LOUDEST:
                raise AudioError(
                    f"{clip} has samples beyond {_LOUDEST:.1e}, where full scale is 1; write the "
                    "file anew"
                )
            samples = channels.mean(axis=1)
            if rate != sampling_rate:
                samples = resampler.resample_chunk(samples, last=end == wanted)
            yield samples


def length(clip: AudioClip) -> float:
    """Seconds of audio in the clip, from the header alone.

    Raises:
        AudioError: as `probe`.
    """
    with _opened(clip) as file:
        first, last = _span(clip, file)
        return (last - first) / file.samplerate


def _span(clip: AudioClip, file: soundfile.SoundFile) -> tuple[int, int]:
    """The clip's first sample in its file, and the one behind its last."""
    first = min(round(clip.start * file.samplerate), file.frames)
    if clip.duration is None:
        return first, file.frames
    return first, min(file.frames, first + round(clip.duration * file.samplerate))


def probe(clip: AudioClip) -> float:
    """Seconds of audio in the clip's whole source, from the header alone.

    Raises:
        AudioError: the file is missing, no audio, or does not state its length.
    """
    with _opened(clip) as file:
        return float(file.frames / file.samplerate)


@contextmanager
def _opened(clip: AudioClip) -> Iterator[soundfile.SoundFile]:
    if isinstance(clip.source, Path):
        if not in_utf8(str(clip.source)):
            raise AudioError(f"the name of {str(clip)!a} is not UTF-8; rename the file")
        if not clip.source.is_file():
            raise AudioError(f"{clip} does not exist or is not a file")
        if clip.source.suffix.lower() == ".raw":
            raise AudioError(f"{clip} has no header to tell its format; convert it to FLAC or WAV")
    source = clip.source if isinstance(clip.source, Path) else BytesIO(clip.source())
    try:
        with soundfile.SoundFile(source) as file:
            if file.frames == 0:
                raise AudioError(f"{clip} has no samples: it is empty or truncated")
            if not _RATES[0] <= file.samplerate <= _RATES[1] or file.channels > _MOST_CHANNELS:
                raise AudioError(
                    f"{clip} has {file.channels} channels at {file.samplerate} Hz, where up to "
                    f"{_MOST_CHANNELS} at {_RATES[0]:,} to {_RATES[1]:,} Hz are read; is its "
                    "header damaged?"
                )
            # A FLAC written to a pipe has no length in its header, a damaged one an absurd length.
            if file.frames > _LONGEST_FILE * file.samplerate:
                raise AudioError(
                    f"{clip} does not state its length in its header, or one above 24 hours; "
                    "encode it anew, or cut it into shorter files"
                )
            yield file
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{clip} cannot be decoded, it is empty, truncated, damaged or no audio file: "
            f"{error.error_string}"
        ) from error
