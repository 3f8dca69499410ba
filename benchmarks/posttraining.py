"""8 bits for weights and inputs without training: StableQuant, simple rules, and NNCF's own.

    pip install -r benchmarks/peers.txt
    python -m benchmarks.posttraining

All of them calibrate on the same training utterances and recognise the same dev speech; the error
rate is tested against the checkpoint's. Ours are the stored models computed with PyTorch, NNCF's is
run by OpenVINO. Rows are kept in `benchmarks/results/posttraining.json`.
"""

# ruff: noqa: PLC0415 - NNCF is needed for one row alone

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from benchmarks.calibration import CALIBRATION_UTTERANCES, calibration_manifest
from benchmarks.compressing import MODELS, console
from benchmarks.inputs import Inputs, Needs, parser_of, run
from benchmarks.peers.run import Against, Made, made_in_openvino, openvino_model
from benchmarks.rows import RESULTS, row_of
from sottovoce.artifact.attention import quantized_attentions
from sottovoce.artifact.packed_model import packed_layers
from sottovoce.commands.quantize import quantize
from sottovoce.commands.scored_systems import evaluate_recogniser
from sottovoce.config.post_training import PostTraining
from sottovoce.loading import load, load_checkpoint
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.loading import prefetched

NEEDS = Needs(hours=0.5, data=True, packages=("nncf", "openvino"))
ROWS = RESULTS / "posttraining.json"

Facts = dict[str, Any]
"""What else belongs in a row."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows that are missing."""
    inputs = Inputs.at(parser_of(__doc__, NEEDS).parse_args(arguments).data)
    torch.set_num_threads(1)
    against_input = Against(inputs)

    def measured(make: Callable[[], tuple[Made, Facts]]) -> Mapping[str, Any]:
        begun = time.process_time()
        made, facts = make()
        minutes = (time.process_time() - begun) / 60
        return {**against_input(*made), "cpu_minutes": minutes, **facts}

    for name, make in systems(inputs).items():
        console.rule(name)
        key = {"system": name, "calibration_utterances": CALIBRATION_UTTERANCES}
        console.print(row_of(ROWS, key, partial(measured, make)))


def systems(inputs: Inputs) -> Mapping[str, Callable[[], tuple[Made, Facts]]]:
    """Name -> what quantizes the checkpoint."""
    rules = ("minmax", "percentile", "mse", "entropy")
    return {
        "sottovoce adaptive": partial(_ours, inputs, PostTraining()),
        **{f"sottovoce {one}": partial(_ours, inputs, PostTraining(method=one)) for one in rules},
        "NNCF": partial(_nncf, inputs),
    }


def _ours(inputs: Inputs, settings: PostTraining) -> tuple[Made, Facts]:
    out, facts = MODELS / f"ptq-{settings.method}", dict[str, Any]()
    if out.exists():
        facts["cpu_minutes"] = None  # spent in another run
    else:
        calibration = calibration_manifest(inputs, MODELS)
        quantize(inputs.checkpoint, calibration, out, settings, resume=True, console=console)
    recogniser, corpus = load(out), read_corpus(inputs.dev)
    layers = packed_layers(recogniser.model)
    facts["float_inputs"] = [name for name, one in layers.items() if not one.precision.input_bits]
    facts["quantized_attentions"] = len(quantized_attentions(recogniser.model))
    stored = (out / "model.safetensors").stat().st_size
    return (lambda: evaluate_recogniser(recogniser, corpus, "ours", console), stored), facts


def _nncf(inputs: Inputs) -> tuple[Made, Facts]:
    import nncf

    recogniser, corpus = load_checkpoint(inputs.checkpoint), read_corpus(inputs.dev)
    speech = read_corpus(calibration_manifest(inputs, MODELS)).utterances
    waveforms = prefetched(iter([[one] for one in speech]), recogniser.sampling_rate)
    extractor = recogniser.processor.feature_extractor
    speech_inputs = [
        extractor(
            waveform, sampling_rate=recogniser.sampling_rate, return_tensors="np"
        ).input_values
        for batch in waveforms
        for _, waveform in batch
    ]
    quantized = nncf.quantize(
        openvino_model(recogniser),
        nncf.Dataset(speech_inputs),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(speech_inputs),
    )
    return made_in_openvino(recogniser, quantized, corpus), {}


if __name__ == "__main__":
    run(main)
