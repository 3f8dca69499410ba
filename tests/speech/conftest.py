"""Audio files that the tests of speech make for themselves."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

SHARED = Path(__file__).parents[2].parent / "shared"

WriteTone = Callable[..., Path]


@pytest.fixture
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("no shared data beside the project")
    return SHARED


@pytest.fixture
def write_tone(tmp_path: Path) -> WriteTone:
    """Writes a 440 Hz tone of amplitude 0.5 to a file under the test's folder."""

    def write(
        name: str,
        seconds: float = 1.0,
        rate: int = 16000,
        channels: int = 1,
        subtype: str | None = None,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(round(seconds * rate)) / rate
        tone = 0.5 * np.sin(2 * np.pi * 440 * time)
        soundfile.write(path, np.stack([tone] * channels, axis=1), rate, subtype=subtype)
        return path

    return write
