"""WavLM (arXiv 2110.13900)."""

import warnings

from sottovoce.models.family import TRANSFORMER_MATRICES, Family, Stack

# transformers makes the mask of padding boolean beside WavLM's positions, which are numbers. torch
# turns one into the other, which is what is meant, and warns of it.
warnings.filterwarnings(
    "ignore", "Support for mismatched key_padding_mask and attn_mask is deprecated", UserWarning
)

FAMILY = Family(
    model_type="wavlm",
    model_class="WavLMForCTC",
    backbone="wavlm",
    encoder=Stack("encoder.layers", TRANSFORMER_MATRICES),
)
