"""The packed checkpoint; importing this lets `transformers` read one."""

from sottovoce.artifact import hf_quantizer
from sottovoce.artifact.packed_layers import PackedConv1d, PackedLayer, PackedLinear
from sottovoce.artifact.packed_model import packed_layers, plan_of
from sottovoce.artifact.reader import read_artifact
from sottovoce.artifact.sizing import artifact_bytes, float_bytes
from sottovoce.artifact.writer import write_artifact

__all__ = [
    "PackedConv1d",
    "PackedLayer",
    "PackedLinear",
    "artifact_bytes",
    "float_bytes",
    "hf_quantizer",
    "packed_layers",
    "plan_of",
    "read_artifact",
    "write_artifact",
]
