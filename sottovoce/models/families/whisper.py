"""Whisper (arXiv 2212.04356): an encoder of 30-second windows, and an attention decoder.

The embedding of tokens is the output projection too: it is quantized, stored and trained once.
"""

from sottovoce.models.family import Family, Stack
from sottovoce.models.front_ends import LogMelWindow
from sottovoce.models.heads.attention_decoder import AttentionDecoder

_ATTENTION = {role: f"self_attn.{role}_proj" for role in ("q", "k", "v", "out")}
_CROSS_ATTENTION = {f"cross {role}": f"encoder_attn.{role}_proj" for role in ("q", "k", "v", "out")}
_FEED_FORWARD = {"feed-forward in": "fc1", "feed-forward out": "fc2"}

FAMILY = Family(
    model_type="whisper",
    model_class="WhisperForConditionalGeneration",
    auto_class="AutoModelForSpeechSeq2Seq",
    backbone="model",
    encoder=Stack(
        "encoder.layers", _ATTENTION | _FEED_FORWARD, tables=("encoder.embed_positions",)
    ),
    decoder=Stack(
        "decoder.layers",
        _ATTENTION | _CROSS_ATTENTION | _FEED_FORWARD,
        tables=("decoder.embed_tokens", "decoder.embed_positions"),
    ),
    processor="WhisperProcessor",
    front_end=LogMelWindow(),
    trunk=("encoder.conv1", "encoder.conv2"),
    trunk_end=None,
    head="proj_out",
    head_of=AttentionDecoder.of,
)
