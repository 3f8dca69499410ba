"""A recogniser as one function, for tracing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from sottovoce.artifact.attention import attend_quantized, attention_quantizer_of
from sottovoce.artifact.packed_layers import PackedConv1d, PackedLayer
from sottovoce.artifact.packed_model import packed_layers
from sottovoce.graph.quantize_ops import Rounding
from sottovoce.graph.stand_ins import swap_stand_ins
from sottovoce.models.recogniser import Recogniser
from sottovoce.models.weight_norm import fold_weight_norm

_UNMASKED = "sottovoce_unmasked"
_OF_VARIANCE = 1e-7
"""As Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm has it."""


class WholeModel(nn.Module):
    """Waveforms or features in, logits out; a waveform is normalised as its extractor does it.

    Nothing is masked: the utterances of a batch have one length.
    """

    def __init__(self, recogniser: Recogniser) -> None:
        super().__init__()
        self.model = recogniser.model
        takes_waveforms = recogniser.family.front_end.graph_input == "waveforms"
        self.normalises = takes_waveforms and recogniser.processor.feature_extractor.do_normalize

    def forward(self, speech: Tensor) -> Tensor:
        """[utterances, samples or frames, ...] -> [utterances, frames, labels]."""
        if self.normalises:
            centred = speech - speech.mean(1, keepdim=True)
            deviation = (centred.square().mean(1, keepdim=True) + _OF_VARIANCE).sqrt()
            speech = centred / deviation
        logits: Tensor = self.model(speech.to(self.model.dtype)).logits
        return logits


@contextmanager
def traceable(recogniser: Recogniser) -> Iterator[WholeModel]:
    """Inside, the recogniser in eval mode, with ordinary layers and attention without masks.

    Packed layers compute with the same weights then. Weight norms are folded for good.
    """
    model = recogniser.model
    attention = model.config._attn_implementation
    for convolution in recogniser.family.cnns(model).values():
        fold_weight_norm(convolution)
    with swap_stand_ins(model):
        packed = packed_layers(model)
        try:
            for name, layer in packed.items():
                model.set_submodule(name, _Ordinary(layer))
            model.set_attn_implementation(_UNMASKED)
            with recogniser.evaluating():
                yield WholeModel(recogniser).eval()
        finally:
            model.set_attn_implementation(attention)
            for name, layer in packed.items():
                model.set_submodule(name, layer)


class _Ordinary(nn.Module):
    """Computes as a packed layer does, its weight an ordinary parameter."""

    def __init__(self, packed: PackedLayer) -> None:
        super().__init__()
        self.weight = nn.Parameter(packed.weight, requires_grad=False)
        self.bias = packed.bias
        self.compute = packed.compute
        self.rounding = Rounding.before(packed)
        if isinstance(packed, PackedConv1d):
            self.kernel_size = packed.kernel_size  # w2v-BERT pads by it

    def forward(self, inputs: Tensor) -> Tensor:
        seen = inputs if self.rounding is None else self.rounding(inputs)
        return self.compute(seen, self.weight, self.bias)


def _unmasked_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    position_bias: Tensor | None = None,
    **__: Any,
) -> tuple[Tensor, None]:
    """[utterances, heads, frames, width] each -> [utterances, frames, heads, width].

    transformers makes no mask for an attention that it does not know. What Conformers make of
    relative positions, [utterances, heads, frames, frames], comes as either of the other two.
    """
    operands = attention_quantizer_of(module)
    if operands is not None:
        return attend_quantized(query, key, value, None, scaling, operands), None
    scores = query * scaling @ key.transpose(2, 3)
    for added in (attention_mask, position_bias):
        scores = scores if added is None else scores + added
    return (torch.softmax(scores, dim=3) @ value).transpose(1, 2), None


AttentionInterface.register(_UNMASKED, _unmasked_attention)
