"""What a user would pick today: peers' weight quantization of the reference recogniser beside ours.

    pip install -r benchmarks/peers.txt
    python -m benchmarks.peers.run

Nothing is trained here. Every system quantizes the same checkpoint in its own way, is saved in its
own format, and recognises the same dev speech, utterance by utterance; the error rate is tested
against the checkpoint's. A system that refuses the model is a row that says so. Rows are kept in
`benchmarks/results/peers.json`.
"""

# ruff: noqa: PLC0415 - a peer that cannot be imported is a row that says so

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.calibration import calibration_manifest
from benchmarks.compressing import MODELS, console
from benchmarks.inputs import Inputs, Needs, parser_of, run
from benchmarks.rows import RESULTS, row_of
from sottovoce.commands.quantize import quantize
from sottovoce.commands.scored_systems import evaluate_recogniser
from sottovoce.config.post_training import PostTraining
from sottovoce.loading import load, load_checkpoint
from sottovoce.models.recogniser import Recogniser
from sottovoce.runtime.recognition import references
from sottovoce.scoring import Score, Transcripts, matched_pairs, score
from sottovoce.speech.batching import evaluation_order
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.loading import prefetched

NEEDS = Needs(
    hours=1,
    data=True,
    packages=("auto_round", "hqq", "nncf", "openvino", "optimum", "torchao"),
)
ROWS = RESULTS / "peers.json"

Made = tuple[Callable[[], Score], int]
"""How to score a quantized model, and its bytes on disk."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows that are missing."""
    inputs = Inputs.at(parser_of(__doc__, NEEDS).parse_args(arguments).data)
    against_input = Against(inputs)

    def measured(make: Callable[[], Made]) -> Mapping[str, Any]:
        try:
            return against_input(*make())
        except Exception as error:  # whatever a peer raises is its answer
            return {"refused": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}

    for name, make in systems(inputs).items():
        console.rule(name)
        console.print(row_of(ROWS, {"system": name}, partial(measured, make)))


class Against:
    """A quantized model's row: scored, and tested against the checkpoint."""

    def __init__(self, inputs: Inputs) -> None:
        self.checkpoint, self.corpus = inputs.checkpoint, read_corpus(inputs.dev)

    @cached_property
    def before(self) -> Score:
        """The checkpoint's."""
        return evaluate_recogniser(load_checkpoint(self.checkpoint), self.corpus, "input", console)

    def __call__(self, recognise: Callable[[], Score], stored: int) -> Mapping[str, Any]:
        own = recognise()
        pairs = matched_pairs(self.before, own)
        interval = own.interval()
        return {
            "wer": own.wer,
            "interval": [interval.low, interval.high],
            "bytes": stored,
            "verdict": pairs.verdict,
            "p": pairs.p,
            "detectable": pairs.detectable,
        }


def systems(inputs: Inputs) -> Mapping[str, Callable[[], Made]]:
    """Name -> what quantizes the checkpoint."""
    in_torch, in_openvino = partial(_in_torch, inputs), partial(_in_openvino, inputs)
    ours: dict[str, Callable[[], Made]] = {
        f"sottovoce mixed, {bits:g} bits": partial(_ours, inputs, bits)
        for bits in (8.0, 6.0, 5.0, 4.0, 3.0, 2.5)
    }
    return ours | {
        "AutoRound 4 bits": partial(
            in_torch, partial(_autoround, inputs.checkpoint)
        ),  # before NNCF, which changes its log
        "torchao int8": partial(in_torch, _torchao_int8),
        "torchao int4, groups of 64": partial(in_torch, _torchao_int4),
        "torchao intx 4 bits, groups of 32": partial(in_torch, _torchao_intx),
        "NNCF int8": partial(in_openvino, "INT8_ASYM"),
        "NNCF int4, groups of 64": partial(in_openvino, "INT4_ASYM", group_size=64, ratio=1.0),
        "HQQ 4 bits, groups of 64": partial(in_torch, partial(_hqq, bits=4)),
        "HQQ 2 bits, groups of 64": partial(in_torch, partial(_hqq, bits=2)),
        "quanto 8 bits": partial(in_torch, partial(_quanto, width="qint8")),
        "quanto 4 bits": partial(in_torch, partial(_quanto, width="qint4")),
        "quanto 2 bits": partial(in_torch, partial(_quanto, width="qint2")),
    }


def _ours(inputs: Inputs, bits: float) -> Made:
    out = MODELS / f"ptq-mixed-{bits:g}"
    if not out.exists():
        calibration = calibration_manifest(inputs, out.parent)
        quantize(
            inputs.checkpoint,
            calibration,
            out,
            PostTraining(method="mixed", bits=bits),
            evaluate_on=inputs.dev,
            console=console,
        )
    recogniser, corpus = load(out), read_corpus(inputs.dev)
    stored = (out / "model.safetensors").stat().st_size
    return lambda: evaluate_recogniser(recogniser, corpus, "ours", console), stored


def _in_torch(inputs: Inputs, change: Callable[[Any], None]) -> Made:
    """A model that a peer changes in place; its size is that of its saved state."""
    recogniser, corpus = load_checkpoint(inputs.checkpoint), read_corpus(inputs.dev)
    recogniser.model.requires_grad_(requires_grad=False)
    change(recogniser.model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.pt"
        torch.save(recogniser.model.state_dict(), path)
        stored = path.stat().st_size
    return lambda: _scored_in_torch(recogniser, corpus), stored


@torch.no_grad()
def _scored_in_torch(recogniser: Recogniser, corpus: Corpus) -> Score:
    """Without inference mode, which some peers' tensors do not bear."""
    said = {}
    batches = evaluation_order(corpus.utterances, 60.0)
    for batch in prefetched(iter(batches), recogniser.sampling_rate):
        features = recogniser.features([waveform for _, waveform in batch])
        texts = recogniser.head.texts(recogniser, features)
        for (one, _), text in zip(batch, texts, strict=True):
            said[one.id] = (one.speaker, recogniser.labels.words(text or ""))
    return score(references(recogniser, corpus), Transcripts("peer", said))


def _torchao_int8(model: Any) -> None:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(model, Int8WeightOnlyConfig(version=2))


def _torchao_int4(model: Any) -> None:
    from torchao.quantization import Int4WeightOnlyConfig, quantize_

    config = Int4WeightOnlyConfig(group_size=64, int4_packing_format="plain_int32")
    quantize_(model.to(torch.bfloat16), config)


def _torchao_intx(model: Any) -> None:
    from torchao.quantization import IntxWeightOnlyConfig, quantize_
    from torchao.quantization.granularity import PerGroup

    four_bits = torch.int4  # type: ignore[attr-defined]
    quantize_(model, IntxWeightOnlyConfig(weight_dtype=four_bits, granularity=PerGroup(32)))


def _hqq(model: Any, bits: int) -> None:
    from hqq.core.quantize import BaseQuantizeConfig, HQQLinear

    config = BaseQuantizeConfig(nbits=bits, group_size=64)
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.Linear) and ".layers." in name:
            replaced = HQQLinear(layer, config, compute_dtype=torch.float32, device="cpu")
            model.set_submodule(name, replaced)


def _quanto(model: Any, width: str) -> None:
    from optimum import quanto

    quanto.quantize(model, weights=getattr(quanto, width))
    quanto.freeze(model)


def _autoround(checkpoint: Path, model: Any) -> None:
    from auto_round import AutoRound

    tokenizer = load_checkpoint(checkpoint).processor.tokenizer
    AutoRound(model, tokenizer, scheme="W4A16", iters=0).quantize()


def _in_openvino(inputs: Inputs, mode: str, **options: Any) -> Made:
    import nncf

    recogniser, corpus = load_checkpoint(inputs.checkpoint), read_corpus(inputs.dev)
    compressed = nncf.compress_weights(
        openvino_model(recogniser), mode=getattr(nncf.CompressWeightsMode, mode), **options
    )
    return made_in_openvino(recogniser, compressed, corpus)


def openvino_model(recogniser: Recogniser) -> Any:
    """The recogniser as an OpenVINO model of one waveform of any length."""
    import openvino

    example = torch.zeros(1, recogniser.sampling_rate)
    return openvino.convert_model(
        recogniser.model, example_input=example, input=[("input_values", [1, -1], np.float32)]
    )


def made_in_openvino(recogniser: Recogniser, model: Any, corpus: Corpus) -> Made:
    """An OpenVINO model; its size is that of its saved files."""
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        openvino.save_model(model, Path(folder) / "model.xml", compress_to_fp16=False)
        stored = sum(one.stat().st_size for one in Path(folder).iterdir())
    return lambda: _scored_in_openvino(recogniser, openvino.Core(), model, corpus), stored


def _scored_in_openvino(recogniser: Recogniser, core: Any, model: Any, corpus: Corpus) -> Score:
    compiled = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": torch.get_num_threads()})
    said = {}
    one_by_one = ([utterance] for utterance in corpus.utterances)
    for batch in prefetched(one_by_one, recogniser.sampling_rate):
        for utterance, waveform in batch:
            inputs = recogniser.processor.feature_extractor(
                waveform, sampling_rate=recogniser.sampling_rate, return_tensors="np"
            )
            logits = compiled(inputs.input_values)[0]
            text = recogniser.decode(logits[0].argmax(1))
            said[utterance.id] = (utterance.speaker, recogniser.labels.words(text or ""))
    return score(references(recogniser, corpus), Transcripts("OpenVINO", said))


if __name__ == "__main__":
    run(main)
