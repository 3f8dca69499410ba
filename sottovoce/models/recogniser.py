"""A CTC recogniser as the rest of the project sees it: waveforms in, frame logits or text out."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from sottovoce.models.family import Family
from sottovoce.speech.labels import Labels


@dataclass(frozen=True)
class Features:
    """Front-end features of a padded batch.

    Attributes:
        values: [utterances, channels, frames].
        sample_mask: [utterances, samples] of 0 and 1, as transformers wants it beside waveforms.
        frames: [utterances], frames of each that are not padding.
    """

    values: Tensor
    sample_mask: Tensor
    frames: Tensor

    @property
    def frame_mask(self) -> Tensor:
        """[utterances, frames], True where a frame is not padding."""
        positions = torch.arange(self.values.shape[2], device=self.frames.device)
        return positions < self.frames.unsqueeze(1)


def best_device() -> torch.device:
    """A CUDA device where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Recogniser:
    """A transformers CTC model with its processor and family.

    The front end runs utterance by utterance and only its features are padded, with the encoder's
    attention masked. A front end with group norm (wav2vec2-base) would otherwise see the padding:
    this way a batch gives each utterance the output that it gets alone.
    """

    def __init__(self, model: Any, processor: Any, family: Family) -> None:
        self.model = model
        self.processor = processor
        self.family = family
        self.labels = Labels.of_tokenizer(processor.tokenizer)
        self.sampling_rate: int = processor.feature_extractor.sampling_rate

    def to(self, device: torch.device) -> "Recogniser":
        """Move the model; returns the recogniser itself."""
        self.model.to(device)
        return self

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def fingerprint(self) -> str:
        """A name for the weights: equal where all of them are."""
        digest = hashlib.sha256()
        for name, tensor in self.model.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]

    @property
    def backbone(self) -> nn.Module:
        return self.model.get_submodule(self.family.backbone)

    @property
    def shortest(self) -> int:
        """Samples of the shortest waveform that yields one frame."""
        samples = 1
        sizes = zip(self.model.config.conv_kernel, self.model.config.conv_stride, strict=True)
        for kernel, stride in reversed(list(sizes)):
            samples = (samples - 1) * stride + kernel
        return samples

    def frames_of(self, samples: int) -> int:
        """Frames that a waveform of `samples` samples yields."""
        if samples < self.shortest:
            return 0
        return int(self.model._get_feat_extract_output_lengths(samples))

    def features(self, waveforms: Sequence[np.ndarray]) -> Features:
        """Run the front end; gradients are recorded only where its parameters want them.

        Args:
            waveforms: mono float32 at `sampling_rate`, each at least `shortest` samples long.
        """
        front_end = self.backbone.get_submodule(self.family.front_end)
        extractor = self.processor.feature_extractor
        trained = any(one.requires_grad for one in front_end.parameters())
        each = []
        for waveform in waveforms:
            inputs = extractor(waveform, sampling_rate=self.sampling_rate, return_tensors="pt")
            with torch.set_grad_enabled(trained and torch.is_grad_enabled()):
                each.append(front_end(inputs.input_values.to(self.device))[0].T)
        samples = torch.tensor([len(waveform) for waveform in waveforms], device=self.device)
        positions = torch.arange(int(samples.max()), device=self.device)
        values = pad_sequence(each, batch_first=True).transpose(1, 2)
        if self.model.training:  # SpecAugment refuses a batch that is shorter than one mask
            short = self.model.config.mask_time_length - values.shape[2]
            values = torch.nn.functional.pad(values, (0, max(0, short)))
        return Features(
            values=values,
            sample_mask=(positions < samples.unsqueeze(1)).long(),
            frames=torch.tensor([len(one) for one in each], device=self.device),
        )

    def logits(self, features: Features) -> Tensor:
        """[utterances, frames, labels] of unnormalised log-probabilities, float32.

        Everything after the front end, in the model's present mode (train or eval).
        """
        with self._given(features.values):
            output = self.model(features.sample_mask, attention_mask=features.sample_mask)
        logits: Tensor = output.logits
        return logits.float()

    @contextmanager
    def _given(self, features: Tensor) -> Iterator[None]:
        backbone, name = self.backbone, self.family.front_end
        front_end = getattr(backbone, name)
        setattr(backbone, name, _Given(features))
        try:
            yield
        finally:
            setattr(backbone, name, front_end)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Inside, the model is in eval mode: no dropout, no masks."""
        was_training = self.model.training
        self.model.eval()
        try:
            yield
        finally:
            self.model.train(was_training)

    @torch.inference_mode()
    def frame_logits(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Each waveform's logits, [frames, labels] float32 without padding.

        The model is in eval mode meanwhile.
        """
        with self.evaluating():
            features = self.features(waveforms)
            return _without_padding(self.logits(features), features)

    def recognise(self, waveforms: Sequence[np.ndarray]) -> list[str]:
        """Greedy transcripts, one for each waveform. The model is in eval mode meanwhile."""
        return [self.labels.greedy(one) for one in self.frame_logits(waveforms)]

    def texts(self, logits: Tensor, features: Features) -> list[str]:
        """Greedy transcripts of a batch.

        Args:
            logits: [utterances, frames, labels].
        """
        return [self.labels.greedy(one) for one in _without_padding(logits, features)]


def _without_padding(logits: Tensor, features: Features) -> list[np.ndarray]:
    cut = zip(logits.detach().cpu().numpy(), features.frames.tolist(), strict=True)
    return [one[:length] for one, length in cut]


class _Given(nn.Module):
    """Stands where the front end stood and returns features that were computed before."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.features = features

    def forward(self, _: Tensor) -> Tensor:
        return self.features
