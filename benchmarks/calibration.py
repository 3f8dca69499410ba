"""Training utterances to calibrate on."""

from pathlib import Path

from benchmarks.inputs import Inputs

CALIBRATION_UTTERANCES = 150


def calibration_manifest(inputs: Inputs, folder: Path) -> Path:
    """A manifest of the first training utterances, beside their audio's absolute paths."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "calibration.jsonl"
    lines = inputs.train.read_text().splitlines()[:CALIBRATION_UTTERANCES]
    here = f'"audio_filepath": "{inputs.train.parent.resolve()}/'
    path.write_text("\n".join(one.replace('"audio_filepath": "', here) for one in lines) + "\n")
    return path
