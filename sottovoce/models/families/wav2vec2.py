"""wav2vec 2.0 (arXiv 2006.11477)."""

from sottovoce.models.family import TRANSFORMER_MATRICES, Family, Stack

FAMILY = Family(
    model_type="wav2vec2",
    model_class="Wav2Vec2ForCTC",
    backbone="wav2vec2",
    encoder=Stack("encoder.layers", TRANSFORMER_MATRICES),
)
