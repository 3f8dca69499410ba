"""A recogniser as one function, for tracing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from sottovoce.artifact.packed_layers import PackedConv1d, PackedLayer
from sottovoce.artifact.packed_model import packed_layers
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
        """[utterances, samples] or [utterances, frames, channels] -> [utterances, frames, labels]."""
        if self.normalises:
            centred = speech - speech.mean(1, keepdim=True)
            deviation = (centred.square().mean(1, keepdim=True) + _OF_VARIANCE).sqrt()
            speech = centred / deviation
        logits: Tensor = self.model(speech).logits
        return logits


@contextmanager
def traceable(recogniser: Recogniser) -> Iterator[WholeModel]:
    """Inside, the recogniser in eval mode, with ordinary layers and attention without masks.

    Packed layers compute with the same weights then; the ranges of their inputs are left out.
    Weight norms are folded for good.
    """
    model = recogniser.model
    packed = packed_layers(model)
    attention = model.config._attn_implementation
    for layer in recogniser.family.cnns(model).values():
        fold_weight_norm(layer)
    try:
        for name, layer in packed.items():
            model.set_submodule(name, _ordinary(layer))
        model.set_attn_implementation(_UNMASKED)
        with recogniser.evaluating():
            yield WholeModel(recogniser).eval()
    finally:
        model.set_attn_implementation(attention)
        for name, layer in packed.items():
            model.set_submodule(name, layer)


def _ordinary(packed: PackedLayer) -> nn.Module:
    rows, columns = packed.weight_shape[:2]
    if isinstance(packed, PackedConv1d):
        layer: nn.Linear | nn.Conv1d = nn.Conv1d(
            packed.in_channels,
            rows,
            packed.kernel_size,
            packed.stride,
            packed.padding,
            packed.dilation,
            packed.groups,
            bias=packed.bias is not None,
            device="meta",
        )
    else:
        layer = nn.Linear(columns, rows, bias=packed.bias is not None, device="meta")
    layer.weight = nn.Parameter(packed.weight, requires_grad=False)
    layer.bias = packed.bias
    return layer


def _unmasked_attention(
    _: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **__: Any,
) -> tuple[Tensor, None]:
    """[utterances, heads, frames, width] each -> [utterances, frames, heads, width].

    transformers makes no mask for an attention that it does not know.
    """
    assert attention_mask is None
    weights = torch.softmax(query * scaling @ key.transpose(2, 3), dim=3)
    return (weights @ value).transpose(1, 2), None


AttentionInterface.register(_UNMASKED, _unmasked_attention)
