"""espeak-ng, spoken to through ctypes: text in, samples out, no sound card and no other program."""

import ctypes
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from sottovoce.errors import InputError

SAMPLE_RATE = 22050
RATES = range(80, 451)
"""Words a minute that espeak-ng can speak."""
PITCHES = range(100)

# Values from espeak-ng's speak_lib.h, version 1.52.
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_RATE, _PITCH = 1, 3
_CHARACTER_POSITION = 1
_UTF8 = 1

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_int16), ctypes.c_int, ctypes.c_void_p
)
_spoken: list[bytes] = []
_one_at_a_time = Lock()


def speak(text: str, voice: str, rate: int = 175, pitch: int = 50) -> NDArray[np.float32]:
    """Speak `text`.

    Args:
        text: what to say; it holds no null character.
        voice: an espeak-ng language, or one with a variant: "en-us", "en-us+f3".
        rate: words a minute, in `RATES`.
        pitch: in `PITCHES`; 50 is the voice's own.

    Returns:
        Samples in [-1, 1) at `SAMPLE_RATE` Hz, shape (samples,). In a fresh process the same calls
        in the same order give the same samples; later, espeak-ng's random flutter moves on.

    Raises:
        InputError: espeakng-loader is not installed or cannot be used here, there is no such
            voice, rate or pitch is out of range, or the text gives no sound.
    """
    for value, allowed, what in ((rate, RATES, "rate"), (pitch, PITCHES, "pitch")):
        if value not in allowed:
            raise InputError(f"{what} is {value}; espeak-ng takes {allowed[0]} to {allowed[-1]}")
    library_file, data = _package()
    library = _library(library_file, data)
    with _one_at_a_time:
        _choose_voice(library, data, voice)
        library.espeak_SetParameter(_RATE, rate, 0)
        library.espeak_SetParameter(_PITCH, pitch, 0)
        _spoken.clear()
        encoded = text.encode() + b"\0"
        library.espeak_Synth(encoded, len(encoded), 0, _CHARACTER_POSITION, 0, _UTF8, None, None)
        samples = np.frombuffer(b"".join(_spoken), dtype=np.int16)
    if not samples.any():
        raise InputError(f"espeak-ng finds nothing to say in {text!r}; give it words")
    return samples.astype(np.float32) / np.float32(32768)


def _package() -> tuple[Path, Path]:
    """Where the espeakng-loader package keeps espeak-ng's library and its data."""
    try:
        import espeakng_loader  # noqa: PLC0415  an extra that only the demo needs
    except ImportError as error:
        raise InputError(
            "the demo speaks with espeak-ng, which is not installed; "
            "run: pip install 'sottovoce[demo]'"
        ) from error
    return Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path())


def _take(samples: "ctypes._Pointer[ctypes.c_int16]", count: int, _events: int | None) -> int:
    if count > 0:
        _spoken.append(ctypes.string_at(samples, 2 * count))
    return 0


_callback = _Callback(_take)


@cache
def _library(library_file: Path, data: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(library_file))
    except OSError as error:
        raise InputError(f"espeak-ng does not load on this system: {error}") from error
    if library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), _DONT_EXIT) != SAMPLE_RATE:
        raise InputError(
            f"espeak-ng cannot read its voices in {data}; it takes no path above about 150 "
            "characters: install into a shorter one"
        )
    library.espeak_SetSynthCallback(_callback)
    # Seeded from the clock otherwise, and no corpus could be spoken twice.
    library.espeak_ng_SetRandSeed(ctypes.c_long(0))
    return library


def _choose_voice(library: ctypes.CDLL, data: Path, voice: str) -> None:
    _, plus, variant = voice.partition("+")
    # espeak-ng passes over an unknown variant in silence.
    known = not plus or (data / "voices" / "!v" / variant).is_file()
    if not known or library.espeak_SetVoiceByName(voice.encode()):
        raise InputError(f"espeak-ng has no voice {voice!r}; one it has is 'en-us+f3'")
