"""HuBERT (arXiv 2106.07447)."""

from sottovoce.models.family import TRANSFORMER_MATRICES, Family

FAMILY = Family(
    model_type="hubert",
    ctc_class="HubertForCTC",
    backbone="hubert",
    layers="encoder.layers",
    matrices=TRANSFORMER_MATRICES,
)
