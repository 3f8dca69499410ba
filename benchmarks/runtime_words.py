"""Does every runtime hear the same? Real speech, one artifact, its text in each runtime.

    python benchmarks/runtime_words.py

Takes artifacts that `commands.py` and `posttraining.py` left in `runs/commands`, and calibrates the
one of 3 bits for integer kernels. An utterance differs where its words are not PyTorch's; how near
its closest two labels were is told beside it. Rows are kept in
`benchmarks/results/runtime_words.json`.
"""

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from commands import DEV, RUNS
from peers import calibration_manifest, console
from rows import RESULTS, row_of

from sottovoce.models.checkpoint import load
from sottovoce.pipelines.calibration import calibrate
from sottovoce.runtime.choices import TORCH
from sottovoce.runtime.engine import Engine
from sottovoce.runtime.engines import RUNTIMES, engine_of
from sottovoce.runtime.recognition import Recognised, recognise, references
from sottovoce.scoring import matched_pairs, score
from sottovoce.speech.audio import read_audio
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus

ROWS = RESULTS / "runtime_words.json"
TRAINED, CALIBRATED = RUNS / "joint-3", RUNS / "joint-3-int8"
ARTIFACTS = (TRAINED, CALIBRATED, RUNS / "ptq-stablequant")


def main() -> None:
    """Measure the rows that are missing."""
    torch.set_num_threads(2)
    corpus = read_corpus(DEV)
    if not CALIBRATED.exists():
        calibrate(TRAINED, calibration_manifest(RUNS), CALIBRATED, evaluate_on=DEV, console=console)
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
        "torch": expected.labels.greedy(one),
        "here": engine.labels.greedy(other),
        "margin": float(nearest[-1] - nearest[-2]),
    }


if __name__ == "__main__":
    main()
