"""HuBERT (arXiv 2106.07447)."""

from sottovoce.models.family import TRANSFORMER_MATRICES, Family, Stack

FAMILY = Family(
    model_type="hubert",
    model_class="HubertForCTC",
    backbone="hubert",
    encoder=Stack("encoder.layers", TRANSFORMER_MATRICES),
)
