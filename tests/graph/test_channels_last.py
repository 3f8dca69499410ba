import copy

import pytest
import torch
from torch import nn
from transformers import Wav2Vec2Config
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2FeatureEncoder

from sottovoce.graph.channels_last import ChannelsLast


def encoder_of(norm, kernel=10, stride=5, *, bias=False):
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        feat_extract_norm=norm,
        conv_bias=bias,
        conv_dim=(6, 4, 5),
        conv_kernel=(kernel, 3, 2),
        conv_stride=(stride, 2, 2),
        num_feat_extract_layers=3,
    )
    encoder = Wav2Vec2FeatureEncoder(config).eval()
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.5)
    return encoder


@torch.no_grad()
def both(encoder, waveforms, dtype=torch.float32):
    expected = encoder(waveforms)
    # bfloat16 as a runtime has it: what goes into an operator is rounded, the buffers included.
    return ChannelsLast(copy.deepcopy(encoder)).to(dtype)(waveforms.to(dtype)).float(), expected


@pytest.mark.parametrize(("kernel", "stride"), [(10, 5), (20, 5), (7, 3), (4, 4), (3, 4)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_frames_are_those_of_the_encoder(norm, bias, kernel, stride):
    encoder = encoder_of(norm, kernel, stride, bias=bias)
    for samples in (70, 71, 73, 500, 1003):
        found, expected = both(encoder, torch.randn(2, samples))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def slow_waveforms():
    """Low frequencies prevail, as they do in speech: neighbouring samples are nearly equal."""
    white, decay = torch.randn(1, 1, 16000), 0.995 ** torch.arange(500.0)
    slow = nn.functional.conv1d(white, decay.view(1, 1, -1), padding=250).squeeze(0)
    return slow / slow.std()


@pytest.mark.parametrize(
    ("dtype", "share_of_errors"), [(torch.float32, 1e-8), (torch.bfloat16, 3e-3)]
)
def test_what_kernels_leave_of_slow_waveforms_is_normalised(dtype, share_of_errors):
    """The variance must not be a small difference of large, rounded numbers."""
    encoder = encoder_of("group")
    encoder.conv_layers = encoder.conv_layers[:1]
    differences = torch.zeros(10)
    differences[4:6] = torch.tensor([1.0, -1.0])
    kernels = differences * torch.linspace(0.5, 1.0, 6).view(-1, 1, 1)
    encoder.conv_layers[0].conv.weight.data.copy_(kernels)
    found, expected = both(encoder, slow_waveforms(), dtype)
    assert (found - expected).square().mean() < share_of_errors * expected.square().mean()


def test_a_norm_over_several_channels_is_refused():
    encoder = encoder_of("group")
    encoder.conv_layers[0].layer_norm = nn.GroupNorm(3, 6)
    with pytest.raises(TypeError, match="over time"):
        ChannelsLast(encoder)
