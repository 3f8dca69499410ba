"""Does every runtime hear the same? Real speech, one artifact, its text in each runtime.

    python -m benchmarks.runtime_words.run

Takes artifacts that the benchmarks `sizes` and `int8` left in `runs/commands`, and calibrates the
one of 3 bits for integer kernels. An utterance differs where its words are not PyTorch's; how near
its closest two labels were is told beside it. Rows are kept in
`benchmarks/results/runtime_words.json`.
"""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.calibration import calibration_manifest
from benchmarks.compressing import MODELS, console
from benchmarks.inputs import Inputs, Needs, parser_of, run
from benchmarks.rows import RESULTS, row_of
from sottovoce.commands.calibrate import calibrate
from sottovoce.errors import InputError
from sottovoce.loading import load
from sottovoce.runtime.choices import TORCH
from sottovoce.runtime.engine import Engine
from sottovoce.runtime.engines import RUNTIMES, engine_of
from sottovoce.runtime.recognition import Recognised, recognise, references
from sottovoce.scoring import matched_pairs, score
from sottovoce.speech.audio import read_audio
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus

NEEDS = Needs(hours=0.5, data=True)
ROWS = RESULTS / "runtime_words.json"
TRAINED, CALIBRATED = MODELS / "joint-3", MODELS / "joint-3-int8"
QUANTIZED = MODELS / "ptq-stablequant"
ARTIFACTS = (TRAINED, CALIBRATED, QUANTIZED)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows that are missing."""
    inputs = Inputs.at(parser_of(__doc__, NEEDS).parse_args(arguments).data)
    for artifact, benchmark in ((TRAINED, "sizes"), (QUANTIZED, "int8")):
        if not artifact.exists():
            raise InputError(
                f"{artifact} is not there; python -m benchmarks.{benchmark}.run makes it"
            )
    torch.set_num_threads(2)
    corpus = read_corpus(inputs.dev)
    if not CALIBRATED.exists():
        calibration = calibration_manifest(inputs, MODELS)
        calibrate(TRAINED, calibration, CALIBRATED, evaluate_on=inputs.dev, console=console)
    for artifact in ARTIFACTS:
        for runtime in (TORCH, *RUNTIMES):
            key = {
                "artifact": artifact.name,
                "weights": load(artifact).fingerprint(),
                "runtime": runtime,
            }
            console.print(row_of(ROWS, key, partial(_row, artifact, runtime, corpus)))


def _row(artifact: Path, runtime: str, corpus: Corpus) -> Mapping[str, Any]:
    expected, engine = engine_of(artifact, TORCH), engine_of(artifact, runtime)
    first = _heard_by_pytorch(artifact, corpus)
    second = first if runtime == TORCH else recognise(engine, corpus, console=console)
    reference = references(expected, corpus)
    own, other = (score(reference, one.transcripts) for one in (first, second))
    words = (first.transcripts.utterances, second.transcripts.utterances)
    different = [name for name in words[0] if words[0][name] != words[1][name]]
    return {
        "wer": other.wer,
        "verdict": matched_pairs(own, other).verdict,
        "differing": {name: _difference(expected, engine, corpus, name) for name in different},
        "utterances": len(words[0]),
        "real_time_factor": second.real_time_factor,
    }


@cache
def _heard_by_pytorch(artifact: Path, corpus: Corpus) -> Recognised:
    return recognise(engine_of(artifact, TORCH), corpus, console=console)


def _difference(expected: Engine, engine: Engine, corpus: Corpus, name: str) -> dict[str, Any]:
    """What each heard, and by how much PyTorch preferred its label where they first part."""
    clip = next(one for one in corpus.utterances if one.id == name).audio
    waveform = read_audio(clip, expected.sampling_rate)
    one, other = (each.frame_logits([waveform])[0] for each in (expected, engine))
    frame = int(np.flatnonzero(one.argmax(1) != other.argmax(1))[0])
    nearest = np.sort(one[frame])
    return {
        "torch": expected.decode(one.argmax(1)),
        "here": engine.decode(other.argmax(1)),
        "margin": float(nearest[-1] - nearest[-2]),
    }


if __name__ == "__main__":
    run(main)
