"""Waveforms varied for training: other rooms, microphones and noise, never another length.

Lengths stay, so that a teacher's frames, computed once on the clean speech, still belong to them.
"""

import numpy as np

from sottovoce.speech.audio import Samples

GAIN_DECIBELS = (-12.0, 6.0)
TILT = (-0.6, 0.6)
ECHO_SECONDS = (0.01, 0.06)
ECHO_SHARE = (0.0, 0.4)
SIGNAL_TO_NOISE = (12.0, 45.0)
"""Decibels between speech and added white noise."""


def augment(waveform: Samples, sampling_rate: int, generator: np.random.Generator) -> Samples:
    """Spectral tilt, one echo, gain and white noise, each drawn anew.

    Args:
        waveform: [samples]; left as it is.

    Returns:
        [samples], as many as came.
    """
    varied = waveform.copy()
    varied[1:] += generator.uniform(*TILT) * waveform[:-1]
    delay = int(generator.uniform(*ECHO_SECONDS) * sampling_rate)
    if delay < len(varied):
        varied[delay:] += generator.uniform(*ECHO_SHARE) * varied[: len(varied) - delay]
    varied *= 10 ** (generator.uniform(*GAIN_DECIBELS) / 20)
    loudness = float(np.sqrt(np.mean(varied**2)))
    noise = loudness * 10 ** (-generator.uniform(*SIGNAL_TO_NOISE) / 20)
    varied += noise * generator.standard_normal(len(varied), dtype=np.float32)
    return varied.astype(np.float32, copy=False)
