"""w2v-BERT 2.0 (arXiv 2312.05187): a Conformer with causal convolutions over log-mel frames."""

from sottovoce.models.family import CONFORMER_MATRICES, Family, Stack
from sottovoce.models.front_ends import StackedLogMel

FAMILY = Family(
    model_type="wav2vec2-bert",
    model_class="Wav2Vec2BertForCTC",
    backbone="wav2vec2_bert",
    encoder=Stack("encoder.layers", CONFORMER_MATRICES, ("conv_module.depthwise_conv",)),
    processor="Wav2Vec2BertProcessor",
    front_end=StackedLogMel(),
    trunk=("feature_projection",),
)
