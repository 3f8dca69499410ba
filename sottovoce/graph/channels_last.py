"""The convolutional front end of the wav2vec2 kind, computed frame by frame.

transformers has channels before time, [utterances, channels, frames], and turns that around for
every layer norm. With frames first a convolution is one matrix product over windows, the norms
need no turning, and kernels for matrices run it, those of 8 bits too:

    y[t] = W [x[st], x[st + 1], ... x[st + k - 1]] + b        stride s, k taps

Where a group norm of one group a channel follows the convolution of one input channel
(wav2vec2-base), a channel's mean and variance over time follow from those of the windows, and the
norm becomes a factor and a shift that are known beforehand. With windows x_t, their mean m and
covariance C, gain g and shift b:

    norm(W x_t) = (g / sqrt(diag(W C W^T) + epsilon)) W (x_t - m) + b

What a runtime would read several times, 65 MB for 10 s of audio, is not read for its statistics.
Windows and kernels are taken to cosines first, where the frequencies of slow signals do not cancel
each other in what is added up: bfloat16 will do then.
"""

from typing import Any

import torch
from torch import Tensor, nn

from sottovoce.graph.quantize_ops import Rounding


class ChannelsLast(nn.Module):
    """Stands for a `Wav2Vec2FeatureEncoder` and its kin."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList(_stand_in(layer) for layer in encoder.conv_layers)

    def forward(self, waveforms: Tensor) -> Tensor:
        """[utterances, samples] -> [utterances, channels, frames]."""
        hidden = waveforms.unsqueeze(2)
        for layer in self.conv_layers:
            hidden = layer(hidden)
        return hidden.transpose(1, 2)


def _stand_in(layer: Any) -> nn.Module:
    norm = getattr(layer, "layer_norm", nn.Identity())
    if isinstance(norm, nn.GroupNorm):
        return _FoldedGroupNorm(layer.conv, norm, layer.activation)
    return _Windowed(layer.conv, norm, layer.activation)


class _Windowed(nn.Module):
    """Convolution, norm over the channels of a frame (or none), activation."""

    def __init__(self, convolution: Any, norm: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.conv = Frames(convolution)
        self.norm, self.activation = norm, activation

    def forward(self, hidden: Tensor) -> Tensor:
        """[utterances, frames, inputs] -> [utterances, frames, outputs]."""
        activated: Tensor = self.activation(self.norm(self.conv(hidden)))
        return activated


class Frames(nn.Module):
    """A convolution without padding; its weight is [outputs, taps * inputs], taps before inputs."""

    def __init__(self, convolution: Any) -> None:
        super().__init__()
        (self.taps,), (self.stride,) = convolution.kernel_size, convolution.stride
        self.weight = nn.Parameter(
            taps_before_channels(convolution.weight.detach()), requires_grad=False
        )
        self.bias = convolution.bias
        self.rounding = Rounding.before(convolution)

    def windows(self, hidden: Tensor) -> Tensor:
        """[utterances, frames, inputs] -> [utterances, frames of output, taps * inputs]."""
        if self.rounding is None:
            return self._cut(hidden)
        return self.rounding.values(self._cut(self.rounding.codes(hidden)))

    def forward(self, hidden: Tensor) -> Tensor:
        if self.rounding is None:
            return nn.functional.linear(self._cut(hidden), self.weight, self.bias)
        codes = self._cut(self.rounding.codes(hidden))
        return self.rounding.product(codes, self.weight, self.bias)

    def _cut(self, hidden: Tensor) -> Tensor:
        """Windows of numbers or of codes."""
        frames = (hidden.shape[1] - self.taps) // self.stride + 1
        begins = torch.arange(frames, device=hidden.device) * self.stride
        places = begins.unsqueeze(1) + torch.arange(self.taps, device=hidden.device)
        found = hidden.index_select(1, places.flatten())
        return found.view(hidden.shape[0], frames, self.taps * hidden.shape[2])


def taps_before_channels(weight: Tensor) -> Tensor:
    """[outputs, inputs, taps] -> [outputs, taps * inputs]."""
    return weight.transpose(1, 2).flatten(1)


class _FoldedGroupNorm(nn.Module):
    """Convolution, group norm and activation; see the head of this file."""

    def __init__(self, convolution: Any, norm: nn.GroupNorm, activation: nn.Module) -> None:
        super().__init__()
        if convolution.in_channels != 1 or norm.num_groups != norm.num_channels:
            raise TypeError("a group norm that is no norm of channels over time")
        self.conv = Frames(convolution)
        self.cosines = nn.Buffer(_cosines(self.conv.taps).to(self.conv.weight.dtype))
        self.norm, self.activation = norm, activation

    def forward(self, hidden: Tensor) -> Tensor:
        """[utterances, samples, 1] -> [utterances, frames, outputs]."""
        windows, weight = self.conv.windows(hidden), self.conv.weight @ self.cosines
        centred = (windows - windows.mean(1, keepdim=True)) @ self.cosines
        covariance = centred.transpose(1, 2) @ centred / centred.shape[1]
        variance = (weight @ covariance * weight).sum(2).clamp_min(0.0)  # rounding may leave less
        factor = self.norm.weight * (variance + self.norm.eps).rsqrt()
        normalised = nn.functional.linear(centred, weight) * factor.unsqueeze(1) + self.norm.bias
        activated: Tensor = self.activation(normalised)
        return activated


def _cosines(taps: int) -> Tensor:
    """The orthonormal discrete cosine transform (DCT-II), [taps, taps], a column a frequency."""
    places, frequencies = torch.arange(taps).unsqueeze(1) + 0.5, torch.arange(taps)
    cosines = torch.cos(places * frequencies * (torch.pi / taps)) * (2 / taps) ** 0.5
    cosines[:, 0] *= 0.5**0.5
    return cosines
