"""Front ends: from one waveform to the features that a family's trunk begins with, and on.

A front end runs utterance by utterance; only its features are padded. The rest of the model is then
run with these features standing where the front end stood.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from sottovoce.models.features import Features


class FrontEnd(Protocol):
    """How a family turns waveforms into features.

    `model` is the CTC model, `backbone` its part with everything but the head, `extractor` the
    feature extractor of its processor.
    """

    @property
    def modules(self) -> tuple[str, ...]:
        """Paths in the backbone of what it computes with; frozen unless a recipe trains it."""
        ...

    def shortest(self, model: Any, extractor: Any) -> int:
        """Samples of the shortest waveform that yields one frame."""
        ...

    def frames_of(self, model: Any, extractor: Any, samples: int) -> int:
        """Frames of a waveform that is not shorter than `shortest`."""
        ...

    def features(
        self, backbone: Any, extractor: Any, waveform: np.ndarray, device: torch.device
    ) -> tuple[Tensor, int]:
        """[channels, frames] of one utterance, and its `Features.units`."""
        ...

    def run(self, model: Any, backbone: nn.Module, features: Features) -> Any:
        """The model's output for a padded batch of features."""
        ...

    @property
    def graph_input(self) -> str:
        """What goes into the whole network: "waveforms", or "features" of the extractor."""
        ...

    def graph_inputs(self, extractor: Any, waveform: np.ndarray) -> np.ndarray:
        """What goes into the whole network for one utterance, float32 [1, ...]."""
        ...


@dataclass(frozen=True)
class WaveformConvolutions:
    """Convolutions over the waveform itself: wav2vec 2.0 and its descendants."""

    path: str = "feature_extractor"

    @property
    def modules(self) -> tuple[str, ...]:
        return (self.path,)

    @property
    def graph_input(self) -> str:
        return "waveforms"

    def graph_inputs(self, extractor: Any, waveform: np.ndarray) -> np.ndarray:  # noqa: ARG002
        return waveform[None]

    def shortest(self, model: Any, extractor: Any) -> int:  # noqa: ARG002
        samples = 1
        sizes = zip(model.config.conv_kernel, model.config.conv_stride, strict=True)
        for kernel, stride in reversed(list(sizes)):
            samples = (samples - 1) * stride + kernel
        return samples

    def frames_of(self, model: Any, extractor: Any, samples: int) -> int:  # noqa: ARG002
        return int(model._get_feat_extract_output_lengths(samples))

    def features(
        self, backbone: Any, extractor: Any, waveform: np.ndarray, device: torch.device
    ) -> tuple[Tensor, int]:
        inputs = extractor(waveform, sampling_rate=extractor.sampling_rate, return_tensors="pt")
        convolutions = backbone.get_submodule(self.path)
        return convolutions(inputs.input_values.to(device))[0], len(waveform)

    def run(self, model: Any, backbone: nn.Module, features: Features) -> Any:
        with _standing_in(backbone, self.path, _Given(features.values)):
            return model(features.unit_mask, attention_mask=features.unit_mask)


class _LogMel:
    """What front ends on log-mel frames have in common; most have nothing that is learnt."""

    @property
    def modules(self) -> tuple[str, ...]:
        return ()

    @property
    def graph_input(self) -> str:
        return "features"

    def graph_inputs(self, extractor: Any, waveform: np.ndarray) -> np.ndarray:
        return _extracted(extractor, waveform, torch.device("cpu")).numpy()[None]


@dataclass(frozen=True)
class StackedLogMel(_LogMel):
    """Log-mel frames, `extractor.stride` of them side by side, and no convolution: w2v-BERT 2.0."""

    window: int = 400
    hop: int = 160

    def shortest(self, model: Any, extractor: Any) -> int:  # noqa: ARG002
        # Each mel bin is divided by its deviation over time, which a single frame has not.
        return self.window + (max(2, extractor.stride) - 1) * self.hop

    def frames_of(self, model: Any, extractor: Any, samples: int) -> int:  # noqa: ARG002
        return int(((samples - self.window) // self.hop + 1) // extractor.stride)

    def features(
        self,
        backbone: Any,  # noqa: ARG002
        extractor: Any,
        waveform: np.ndarray,
        device: torch.device,
    ) -> tuple[Tensor, int]:
        frames = _extracted(extractor, waveform, device)
        return frames.T, len(frames)

    def run(self, model: Any, backbone: nn.Module, features: Features) -> Any:  # noqa: ARG002
        return model(features.values.transpose(1, 2), attention_mask=features.frame_mask.long())


@dataclass(frozen=True)
class LogMelConvolutions(_LogMel):
    """Log-mel frames, then convolutions over time and frequency: Fast Conformer's subsampling.

    A feature is a channel at a frequency.
    """

    path: str = "subsampling.layers"

    @property
    def modules(self) -> tuple[str, ...]:
        return (self.path,)

    def shortest(self, model: Any, extractor: Any) -> int:  # noqa: ARG002
        # Each mel bin is divided by its deviation over time, which a single frame has not.
        return 2 * int(extractor.hop_length)

    def frames_of(self, model: Any, extractor: Any, samples: int) -> int:
        mel_frames = torch.tensor(samples // extractor.hop_length)
        return int(model._get_subsampling_output_length(mel_frames))

    def features(
        self, backbone: Any, extractor: Any, waveform: np.ndarray, device: torch.device
    ) -> tuple[Tensor, int]:
        mel_frames = _extracted(extractor, waveform, device)
        hidden = mel_frames[None, None]
        for layer in backbone.get_submodule(self.path):
            hidden = layer(hidden)
        return hidden[0].transpose(1, 2).flatten(0, 1), len(mel_frames)

    def run(self, model: Any, backbone: nn.Module, features: Features) -> Any:
        # What follows flattens channels and frequencies, which they are already.
        given = nn.ModuleList([_Given(features.values.unsqueeze(3))])
        with _standing_in(backbone, self.path, given):
            return model(features.unit_mask, attention_mask=features.unit_mask)


@dataclass(frozen=True)
class LogMelWindow(_LogMel):
    """Log-mel frames of a window that is always filled: Whisper. The rest of a window is silence; a
    longer recording has all of its frames."""

    def shortest(self, model: Any, extractor: Any) -> int:  # noqa: ARG002
        return int(extractor.hop_length)

    def frames_of(self, model: Any, extractor: Any, samples: int) -> int:  # noqa: ARG002
        return samples // int(extractor.hop_length)

    def features(
        self,
        backbone: Any,  # noqa: ARG002
        extractor: Any,
        waveform: np.ndarray,
        device: torch.device,
    ) -> tuple[Tensor, int]:
        fits = len(waveform) <= extractor.n_samples
        inputs = extractor(
            waveform,
            sampling_rate=extractor.sampling_rate,
            padding="max_length" if fits else "longest",
            truncation=False,
            return_attention_mask=True,
            return_tensors="pt",
        )
        return inputs.input_features[0].to(device), int(inputs.attention_mask.sum())

    def run(self, model: Any, backbone: nn.Module, features: Features) -> Any:  # noqa: ARG002
        return model(features.values, decoder_input_ids=features.decoder_inputs, use_cache=False)


def _extracted(extractor: Any, waveform: np.ndarray, device: torch.device) -> Tensor:
    """What the feature extractor makes of a waveform, [frames, channels], its padding cut off."""
    rate = extractor.sampling_rate
    inputs = extractor(
        waveform, sampling_rate=rate, return_attention_mask=True, return_tensors="pt"
    )
    frames: Tensor = inputs.input_features[0, inputs.attention_mask[0].bool()]
    return frames.to(device)


@contextmanager
def _standing_in(backbone: nn.Module, path: str, module: nn.Module) -> Iterator[None]:
    """Inside, `module` stands at `path`."""
    before = backbone.get_submodule(path)
    backbone.set_submodule(path, module)
    try:
        yield
    finally:
        backbone.set_submodule(path, before)


class _Given(nn.Module):
    """Stands where the front end stood and returns features that were computed before."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.features = features

    def forward(self, _: Tensor) -> Tensor:
        return self.features
