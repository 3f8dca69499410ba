"""Parts of a recogniser that a graph must have in another form."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.hubert.modeling_hubert import HubertFeatureEncoder
from transformers.models.parakeet.modeling_parakeet import ParakeetEncoderAttention
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2FeatureEncoder
from transformers.models.wav2vec2_bert.modeling_wav2vec2_bert import (
    Wav2Vec2BertRelPositionalEmbedding,
)
from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import (
    Wav2Vec2ConformerFeatureEncoder,
    Wav2Vec2ConformerRelPositionalEmbedding,
)
from transformers.models.wavlm.modeling_wavlm import WavLMFeatureEncoder

from sottovoce.graph.channels_last import ChannelsLast


class _Positions(nn.Module):
    """Sines and cosines of the distances frames - 1 ... 1 - frames (arXiv 1901.02860).

    transformers cuts them from a table, which a graph would have to hold (40 MB for the published
    large model) and which ends: it is made longer in Python, where a graph does not go.
    """

    def __init__(
        self, table: Wav2Vec2ConformerRelPositionalEmbedding | Wav2Vec2BertRelPositionalEmbedding
    ) -> None:
        super().__init__()
        width = table.d_model
        rates = torch.exp(torch.arange(0, width, 2).float() * -(math.log(10000.0) / width))
        self.rates = nn.Buffer(rates)

    def forward(self, hidden: Tensor) -> Tensor:
        """[utterances, frames, width] -> [1, 2 * frames - 1, width]."""
        frames = hidden.shape[1]
        distances = (frames - 1) - torch.arange(2 * frames - 1, device=hidden.device).float()
        angles = distances.unsqueeze(1) * self.rates
        waves = torch.stack((angles.sin(), angles.cos()), dim=2).flatten(1).unsqueeze(0)
        return waves.to(hidden.dtype)


class _Affine(nn.Module):
    """A batch norm with its statistics: left as one, it is folded into the convolution before it,
    whose weight is then no longer the one that is packed."""

    def __init__(self, norm: nn.BatchNorm1d) -> None:
        super().__init__()
        mean, variance, weight, bias = norm.running_mean, norm.running_var, norm.weight, norm.bias
        if mean is None or variance is None:
            raise TypeError("a batch norm without statistics")
        scale = (weight * (variance + norm.eps).rsqrt()).detach().unsqueeze(1)
        self.scale = nn.Buffer(scale)
        self.shift = nn.Buffer(bias.detach().unsqueeze(1) - mean.unsqueeze(1) * scale)

    def forward(self, inputs: Tensor) -> Tensor:
        """[utterances, channels, frames], normalised."""
        return inputs * self.scale + self.shift


_STAND_INS: Mapping[type[nn.Module], Callable[[Any], nn.Module]] = {
    Wav2Vec2BertRelPositionalEmbedding: _Positions,
    Wav2Vec2ConformerRelPositionalEmbedding: _Positions,
    nn.BatchNorm1d: _Affine,
    Wav2Vec2FeatureEncoder: ChannelsLast,
    HubertFeatureEncoder: ChannelsLast,
    WavLMFeatureEncoder: ChannelsLast,
    Wav2Vec2ConformerFeatureEncoder: ChannelsLast,
}


def _shifted(scores: Tensor) -> Tensor:
    """[utterances, heads, frames, distances] -> [utterances, heads, frames, frames]: the score of
    each frame at its distance to each other (arXiv 1901.02860, appendix B).

    transformers pads and views anew, which tracing cannot follow for every length.
    """
    frames = scores.shape[2]
    places = torch.arange(frames, device=scores.device)
    distances = (frames - 1) - places.unsqueeze(1) + places
    return scores.gather(3, distances.expand(scores.shape[0], scores.shape[1], -1, -1))


@contextmanager
def swap_stand_ins(model: nn.Module) -> Iterator[None]:
    """Inside, such parts have the form that they are traced in."""
    replaced = {n: one for n, one in model.named_modules() if type(one) in _STAND_INS}
    shifting = [one for one in model.modules() if isinstance(one, ParakeetEncoderAttention)]
    try:
        for attention in shifting:
            attention._rel_shift = _shifted  # type: ignore[method-assign]
        for name, module in replaced.items():
            model.set_submodule(name, _STAND_INS[type(module)](module))
        yield
    finally:
        for name, module in replaced.items():
            model.set_submodule(name, module)
        for attention in shifting:
            del attention._rel_shift  # the method of its class again
