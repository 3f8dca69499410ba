"""How long post-training quantization takes on wav2vec2-base's shape, phase by phase.

    python -m benchmarks.quantize_time.run

quantizes random weights of the wav2vec2-base shape (`Wav2Vec2Config()`: 94 million parameters) with
128 utterances of 2 to 20 s of noise as calibration speech, on two threads, by each method. A random
recogniser says nothing that quantizing could change, so that no layer is sensitive; with
`--worst-case` every layer is, all that `sottovoce/ptq/effort.py` allows is spent, and the
row says so. Measured on one short utterance, for speech to measure on is not part of quantizing.
The bar is 10 minutes, in the worst case too.

Rows are kept in `benchmarks/results/quantize_time.json`. It takes about an hour on two cores, and
wants the machine to itself. `--minutes 0.2` gives an estimate from little speech: phases take as
much longer as there is more of it, but for what a fit or a rounding costs.
"""

import json
import re
import string
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import PropertyMock, patch

import numpy as np
import soundfile
import torch
from rich.console import Console
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
    set_seed,
)

from benchmarks.inputs import Needs, parser_of, run
from benchmarks.rows import RESULTS, row_of
from sottovoce.commands.quantize import quantize
from sottovoce.config.post_training import PostTraining
from sottovoce.ptq import stablequant
from sottovoce.ptq.sweep import Change

NEEDS = Needs(hours=1.0)
ROWS = RESULTS / "quantize_time.json"
METHODS = ("adaptive", "stablequant", "mixed")
MOST_MINUTES = 10.0
UTTERANCES = 128
_RATE = 16000
_PHASE = re.compile(r"^(.+): ([\d.]+) s, ([\d.]+) CPU-s", re.MULTILINE)
_VOCABULARY = ("<pad>", "<s>", "</s>", "<unk>", "|", *string.ascii_lowercase)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows that are missing."""
    parser = parser_of(__doc__, NEEDS)
    parser.add_argument("--minutes", type=float, help="of calibration speech, else the default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--worst-case", action="store_true", help="every layer does harm")
    parser.add_argument("--quick", action="store_true", help="a tiny model: only to try the code")
    parser.add_argument("--results", type=Path, default=ROWS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    with TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint = save_checkpoint(folder / "start", quick=given.quick)
        calibration = save_noise(folder / "calibration", UTTERANCES)
        dev = save_noise(folder / "dev", 1)
        for method in given.methods:
            key = {
                "method": method,
                "shape": "tiny" if given.quick else "wav2vec2-base",
                "minutes": given.minutes,
                "threads": given.threads,
                "worst_case": given.worst_case,
            }
            places = (checkpoint, calibration, dev, folder / f"out-{method}")
            with everything_harmful() if given.worst_case else nullcontext():
                row = row_of(given.results, key, partial(measured, *places, method, given.minutes))
            print(json.dumps(row), flush=True)


def measured(
    checkpoint: Path, calibration: Path, dev: Path, out: Path, method: str, minutes: float | None
) -> Mapping[str, Any]:
    """Seconds of the whole command, and of each phase."""
    settings = PostTraining(
        method=method, bits=4 if method == "mixed" else 8, calibration_minutes=minutes
    )
    console = Console(record=True, width=200)
    begun, processor_begun = time.monotonic(), time.process_time()
    quantize(checkpoint, calibration, out, settings, evaluate_on=dev, console=console)
    phases = _PHASE.findall(console.export_text())
    return {
        "seconds": time.monotonic() - begun,
        "cpu_seconds": time.process_time() - processor_begun,
        "phases": {name: float(seconds) for name, seconds, _ in phases},
        "phases_cpu": {name: float(seconds) for name, _, seconds in phases},
    }


@contextmanager
def everything_harmful() -> Iterator[None]:
    """Inside, whatever is quantized is said to change too many words."""
    harm = patch.object(Change, "does_harm", new_callable=PropertyMock, return_value=True)
    with harm, patch.object(stablequant, "SENSITIVE_ABOVE", -1.0):
        yield


def save_checkpoint(folder: Path, *, quick: bool) -> Path:
    """Random weights, the same at every call."""
    set_seed(0)
    changes: dict[str, Any] = {}
    if quick:
        changes = {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 48,
            "conv_dim": (16,) * 7,
            "num_conv_pos_embeddings": 8,
            "num_conv_pos_embedding_groups": 2,
        }
    config = Wav2Vec2Config(vocab_size=len(_VOCABULARY), initializer_range=0.1, **changes)
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({token: label for label, token in enumerate(_VOCABULARY)}))
    tokenizer = Wav2Vec2CTCTokenizer(str(vocabulary))
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder


def save_noise(folder: Path, count: int) -> Path:
    """A manifest of noise with a transcript each, of 2 to 20 s; a single one has 2 s."""
    folder.mkdir()
    lines = []
    for index in range(count):
        random = np.random.default_rng(index)
        seconds = 2 + 18 * index / max(1, count - 1)
        loudness = 0.1 * random.random(round(seconds * 10)).repeat(_RATE // 10)
        samples = loudness * random.standard_normal(len(loudness))
        soundfile.write(folder / f"{index}.wav", samples, _RATE)
        lines.append(
            {
                "audio_filepath": f"{index}.wav",
                "duration": len(samples) / _RATE,
                "text": "a word",
                "id": f"{folder.name}-{index}",
                "speaker": f"{folder.name}-{index % 10}",
            }
        )
    manifest = folder / "speech.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest


if __name__ == "__main__":
    run(main)
