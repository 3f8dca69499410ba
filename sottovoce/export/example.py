"""The README.md of an exported folder."""

from sottovoce.export.interface import Interface

_ONNX = '''
import json
import sys

import numpy as np
import onnxruntime
import soundfile

session = onnxruntime.InferenceSession("model.onnx")
facts = session.get_modelmeta().custom_metadata_map
written, blank = json.loads(facts["written"]), json.loads(facts["blank"])
waveform, rate = soundfile.read(sys.argv[1], dtype="float32")
assert rate == json.loads(facts["sampling_rate"]) and waveform.ndim == 1
logits = session.run(["logits"], {"waveforms": waveform[None]})[0][0]
'''
_OPENVINO = '''
import json
import sys

import numpy as np
import openvino
import soundfile

model = openvino.Core().compile_model("model.xml", "CPU")
facts = json.load(open("export.json"))
written, blank = facts["written"], facts["blank"]
waveform, rate = soundfile.read(sys.argv[1], dtype="float32")
assert rate == facts["sampling_rate"] and waveform.ndim == 1
logits = model(waveform[None])["logits"][0]
'''
_DECODING = '''
best = logits.argmax(1)
changes = np.flatnonzero(np.diff(best, prepend=-1))
print("".join(written[label] for label in best[changes] if label != blank).strip())
'''
_COMPRESSED_TENSORS = '''
from transformers import AutoModelForCTC, AutoProcessor

model = AutoModelForCTC.from_pretrained(".")
processor = AutoProcessor.from_pretrained(".")
'''
EXAMPLES = {
    "onnx": ("onnxruntime, numpy and soundfile", _ONNX + _DECODING),
    "openvino": ("openvino, numpy and soundfile", _OPENVINO + _DECODING),
    "compressed-tensors": ("transformers and compressed-tensors", _COMPRESSED_TENSORS),
}


def readme(target: str, interface: Interface) -> str:
    """How to run an exported model with nothing of sottovoce installed."""
    packages, code = EXAMPLES[target]
    return (
        f"# A speech recogniser, exported by sottovoce to {target}\n\n"
        f"In: waveforms, float32 [utterances, samples], mono at {interface.sampling_rate} Hz, at "
        f"least {interface.shortest} samples and, in a batch, of one length. Out: logits [utterances, frames, "
        f"{len(interface.written)}], a frame every {interface.hop} samples, for CTC with blank "
        f"{interface.blank}.\n\n"
        f"It runs with {packages}:\n\n```python{code}```\n"
    )
