"""WavLM (arXiv 2110.13900)."""

from sottovoce.models.family import TRANSFORMER_MATRICES, Family

FAMILY = Family(
    model_type="wavlm",
    ctc_class="WavLMForCTC",
    backbone="wavlm",
    layers="encoder.layers",
    matrices=TRANSFORMER_MATRICES,
)
