"""Parakeet: Fast Conformer (arXiv 2305.05084) with a CTC head."""

from sottovoce.models.family import Family, Stack
from sottovoce.models.front_ends import LogMelConvolutions

_MATRICES = {
    "feed-forward 1 in": "feed_forward1.linear1",
    "feed-forward 1 out": "feed_forward1.linear2",
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "positions": "self_attn.relative_k_proj",
    "out": "self_attn.o_proj",
    "pointwise 1": "conv.pointwise_conv1",
    "pointwise 2": "conv.pointwise_conv2",
    "feed-forward 2 in": "feed_forward2.linear1",
    "feed-forward 2 out": "feed_forward2.linear2",
}

FAMILY = Family(
    model_type="parakeet_ctc",
    model_class="ParakeetForCTC",
    backbone="encoder",
    encoder=Stack("layers", _MATRICES, ("conv.depthwise_conv",)),
    processor="ParakeetProcessor",
    front_end=LogMelConvolutions(),
    trunk=("subsampling.linear",),
    trunk_end="subsampling.linear",
    head="ctc_head",
)
