"""The README.md of an exported folder."""

from string import Template

from sottovoce.graph.interface import Interface

_GRAPH = Template("""
import json
import sys

import numpy as np
import $package
import soundfile
$imports
facts = json.load(open("export.json"))
waveform, rate = soundfile.read(sys.argv[1], dtype="float32")
assert rate == facts["sampling_rate"] and waveform.ndim == 1
$inputs
$run
best = logits.argmax(1)
changes = np.flatnonzero(np.diff(best, prepend=-1))
texts = (facts["written"][label] for label in best[changes] if label != facts["blank"])
print(" ".join("".join(texts).split()))
""")
_ONNX_RUNTIME = (
    "onnxruntime",
    "options = onnxruntime.SessionOptions()\n"
    "# without VNNI, sums of two products of 8 bits would overflow 16\n"
    'options.add_session_config_entry("session.x64quantprecision", "1")\n'
    'session = onnxruntime.InferenceSession("model.onnx", options)\n'
    'logits = session.run(["logits"], {facts["input"]: inputs})[0][0]',
)
_RUNS = {
    "onnx": _ONNX_RUNTIME,
    "onnx-nbits": _ONNX_RUNTIME,
    "openvino": (
        "openvino",
        'settings = {"INFERENCE_PRECISION_HINT": "f32"}  # bfloat16 rounds more\n'
        "# without VNNI, sums of two products of 8 bits overflow 16; then add to the settings:\n"
        '# "LP_TRANSFORMS_MODE": False\n'
        'model = openvino.Core().compile_model("model.xml", "CPU", settings)\n'
        'logits = model(inputs)["logits"][0]',
    ),
}
_INPUTS = {
    "waveforms": ("", "inputs = waveform[None]"),
    "features": (
        "from transformers import AutoProcessor\n",
        'extractor = AutoProcessor.from_pretrained(".").feature_extractor\n'
        "found = extractor(\n"
        '    waveform, sampling_rate=rate, return_attention_mask=True, return_tensors="np"\n'
        ")\n"
        'inputs = found["input_features"][:, found["attention_mask"][0].astype(bool)]',
    ),
}
_COMPRESSED_TENSORS = """
import sys

import soundfile
import torch
from transformers import AutoModelForCTC, AutoProcessor

model = AutoModelForCTC.from_pretrained(".").eval()
processor = AutoProcessor.from_pretrained(".")
waveform, rate = soundfile.read(sys.argv[1], dtype="float32")
inputs = processor(waveform, sampling_rate=rate, return_tensors="pt")
with torch.inference_mode():
    labels = model(**inputs).logits.argmax(2)
print(processor.batch_decode(labels)[0])
"""


def program(target: str, interface: Interface) -> str:
    """A program that uses the exported folder that it runs in, with nothing of sottovoce."""
    if target not in _RUNS:
        return _COMPRESSED_TENSORS
    (package, run), (imports, inputs) = _RUNS[target], _INPUTS[interface.input]
    return _GRAPH.substitute(package=package, run=run, imports=imports, inputs=inputs)


def readme(target: str, interface: Interface) -> str:
    """How to run an exported model with nothing of sottovoce installed."""
    title = f"# A speech recogniser, exported by sottovoce to {target}\n\n"
    if target not in _RUNS:
        return (
            f"{title}A checkpoint for transformers, which reads its packed weights with the "
            "compressed-tensors package: `pip install transformers compressed-tensors`.\n\n"
            f"```python{program(target, interface)}```\n"
        )
    shape = {"waveforms": "samples", "features": "frames, channels"}[interface.input]
    return (
        f"{title}In: {interface.input}, float32 [utterances, {shape}], of speech at "
        f"{interface.sampling_rate} Hz, mono, at least {interface.shortest} samples and, in a "
        "batch, all of one length: nothing is padded and nothing masked. Out: logits, float32 "
        f"[utterances, frames, {len(interface.written)}], a frame every {interface.hop} samples, "
        f"for CTC with blank {interface.blank}.\n\n"
        f"A program that uses it, without sottovoce:\n\n```python{program(target, interface)}```\n"
    )
