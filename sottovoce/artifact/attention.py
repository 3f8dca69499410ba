"""Attention whose two products multiply 8-bit numbers: queries by keys, probabilities by values.

    scores = q(Q) q(K)^T * scaling          out = q(softmax(scores)) q(V - m) + m

where m is the mean of the values over the frames. Probabilities sum to one over the frames: in
steps of 1/255, those of an attention that is spread over hundreds of frames come out as nothing.
What is lost of them then counts as spread evenly, not as silence.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.models.hubert.modeling_hubert import HubertAttention
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2Attention

from sottovoce.errors import InputError
from sottovoce.quantization.activations import fake_quantize_inputs

OPERANDS = ("queries", "keys", "values")
MIDDLE = 128
"""The code of 0 of these; their ranges lie evenly around it."""
PROBABILITY_SCALE = 1 / 255
_CODES_TO_AN_END = 127
_IMPLEMENTATION = "sottovoce_rounded"
_CHILD = "operands"


class Rounds(Protocol):
    """A quantizer of the operands of an attention's products."""

    def rounded(self, operand: int, values: Tensor) -> Tensor:
        """Values of any shape, by the index of one of `OPERANDS`."""

    def quantize_probabilities(self, values: Tensor) -> Tensor:
        """Round attention probabilities of any shape."""


class QuantizedAttention(nn.Module):
    """The 8-bit ranges of an attention's operands; a child of the attention that it belongs to.

    Attributes:
        scale: float32 [3], of queries, keys and values, whatever the model's dtype.
    """

    scale: Tensor

    def __init__(self, device: torch.device | str | None = None) -> None:
        super().__init__()
        ones = torch.ones(len(OPERANDS), dtype=torch.float32, device=device)
        self.register_buffer("scale", ones)

    def reach(self, greatest: Iterable[float]) -> None:
        """Let the codes reach the greatest absolute value of each operand."""
        scales = [greatest_value / _CODES_TO_AN_END for greatest_value in greatest]
        self.scale = torch.tensor(scales, dtype=torch.float32, device=self.scale.device)

    def rounded(self, operand: int, values: Tensor) -> Tensor:
        """Values of any shape, by the index of one of `OPERANDS`."""
        return fake_quantize_inputs(values, self.scale[operand : operand + 1], MIDDLE)

    def quantize_probabilities(self, values: Tensor) -> Tensor:
        """Round attention probabilities of any shape."""
        scale = torch.tensor([PROBABILITY_SCALE], dtype=torch.float32, device=values.device)
        return fake_quantize_inputs(values, scale, 0)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "QuantizedAttention":
        exact = self.scale
        super()._apply(fn, recurse)
        if self.scale.dtype != exact.dtype:
            self.scale = exact.to(self.scale.device)
        return self


def attention_quantizer_of(attention: nn.Module) -> Any:
    """Return an attention's quantizer; None where its products are in floating point."""
    return getattr(attention, _CHILD, None)


def quantized_attentions(model: nn.Module) -> dict[str, QuantizedAttention]:
    """Attention name -> its operands, in the model's order."""
    suffix = f".{_CHILD}"
    return {
        name.removesuffix(suffix): module
        for name, module in model.named_modules()
        if isinstance(module, QuantizedAttention)
    }


def quantizable_attentions(model: nn.Module) -> list[str]:
    """Names of the attentions whose products can have 8-bit operands, input to output.

    Others add positions to their scores in ways of their own.
    """
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, Wav2Vec2Attention | HubertAttention)
    ]


def quantize_attention(model: PreTrainedModel, attentions: Iterable[str]) -> None:
    """Give attentions operands that are rounded, their ranges not known yet.

    Raises:
        InputError: one is none of the attentions of the model that can have them.
    """
    names = list(attentions)
    if not names:
        return
    able = quantizable_attentions(model)
    for name in names:
        if name not in able:
            raise InputError(
                f"attention {name!r} is none of a {type(model).__name__} that can have 8-bit "
                f"operands, which are {', '.join(able) or 'none'}"
            )
        set_attention_quantizer(
            model.get_submodule(name), QuantizedAttention(next(model.parameters()).device)
        )
    model.set_attn_implementation(_IMPLEMENTATION)


def set_attention_quantizer(attention: nn.Module, operands: nn.Module | None) -> None:
    """Give an attention what rounds its operands, or None."""
    if operands is None:
        attention._modules.pop(_CHILD, None)
    else:
        attention.add_module(_CHILD, operands)


def attend_quantized(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    operands: Rounds,
) -> Tensor:
    """[utterances, heads, frames, width] each -> [utterances, frames, heads, width].

    Args:
        attention_mask: bool [utterances, 1, frames, frames], which key each query may hear, the
        same ones
            for all queries of an utterance; None: all.
    """
    query, key = (operands.rounded(index, values) for index, values in enumerate((query, key)))
    scores = query @ key.transpose(2, 3) * scaling
    if attention_mask is None:
        mean = value.mean(2, keepdim=True)
    else:
        scores = scores.masked_fill(~attention_mask, -torch.inf)
        counted = attention_mask[:, :, :1].transpose(2, 3).to(value.dtype)
        mean = (value * (counted / counted.sum(2, keepdim=True))).sum(2, keepdim=True)
    probabilities = operands.quantize_probabilities(torch.softmax(scores, dim=3))
    return (probabilities @ operands.rounded(2, value - mean) + mean).transpose(1, 2)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **others: Any,
) -> tuple[Tensor, None]:
    operands = attention_quantizer_of(module)
    if operands is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **others
        )
    return attend_quantized(query, key, value, attention_mask, scaling, operands), None


AttentionInterface.register(_IMPLEMENTATION, _attend)
AttentionMaskInterface.register(_IMPLEMENTATION, sdpa_mask)
