"""wav2vec 2.0 with Conformer layers (arXiv 2005.08100), as transformers builds it.

Its config asks for a positional convolution that its encoder never calls; its convolution modules
are not told what is padding.
"""

from sottovoce.models.family import CONFORMER_MATRICES, Family, Stack

FAMILY = Family(
    model_type="wav2vec2-conformer",
    model_class="Wav2Vec2ConformerForCTC",
    backbone="wav2vec2_conformer",
    encoder=Stack("encoder.layers", CONFORMER_MATRICES, ("conv_module.depthwise_conv",)),
    trunk=("feature_projection",),
    masks_convolutions=False,
    unused=("encoder.pos_conv_embed",),
)
