"""A recogniser as the rest of the project sees it: waveforms in, logits or text out."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from sottovoce.config.decoding import Decoding
from sottovoce.models.family import Family
from sottovoce.models.features import Features, Targets
from sottovoce.models.head import Head
from sottovoce.models.heads.ctc import frame_labels, without_padding
from sottovoce.models.positions import clear_stale_positions
from sottovoce.speech.labels import Vocabulary

_SAYS_NOTHING = {
    "_name_or_path",
    "architectures",
    "dtype",
    "gradient_checkpointing",
    "processor_class",
    "transformers_version",
}
"""Of a config or a feature extractor: where it came from, or how we load it."""


def best_device() -> torch.device:
    """A CUDA device where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Recogniser:
    """A transformers model with its processor, family and head.

    The front end runs utterance by utterance and only its features are padded, with the encoder's
    attention masked. A front end with group norm (wav2vec2-base) would otherwise see the padding,
    and so would the convolutions of a Conformer that transformers does not mask: this way a batch
    gives each utterance the output that it gets alone.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        family: Family,
        stored_bits: int = 32,
        decoding: Decoding | None = None,
    ) -> None:
        """
        Args:
            stored_bits: of a number in the checkpoint; here all of them have 32.
            decoding: how it writes; None is as the checkpoint says.

        Raises:
            InputError: the tokenizer does not suit the head.
        """
        self.stored_bits = stored_bits
        self.model = model
        self.processor = processor
        self.family = family
        self.decoding = decoding or Decoding()
        self.head: Head = family.head_of(model, processor, self.decoding)
        self.outputs: int = model.config.vocab_size
        self.sampling_rate: int = processor.feature_extractor.sampling_rate

    def to(self, device: torch.device) -> "Recogniser":
        """Move the model; returns the recogniser itself."""
        self.model.to(device)
        return self

    def copy(self) -> "Recogniser":
        """The same, with weights of its own."""
        return Recogniser(
            deepcopy(self.model), self.processor, self.family, self.stored_bits, self.decoding
        )

    @property
    def labels(self) -> Vocabulary:
        """How it writes."""
        return self.head.labels

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def place(self) -> str:
        """Where it runs."""
        return self.device.type

    def fingerprint(self) -> str:
        """A name for what it computes: by its weights, config, feature extractor and vocabulary."""
        processor = self.processor
        settings = [self.model.config.to_dict(), processor.feature_extractor.to_dict()]
        if self.model.config.is_encoder_decoder:
            settings += [self.model.generation_config.to_dict(), asdict(self.decoding)]
        told = [{key: one[key] for key in one.keys() - _SAYS_NOTHING} for one in settings]
        told.append(processor.tokenizer.get_vocab())
        digest = hashlib.sha256(json.dumps(told, default=str, sort_keys=True).encode())
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
        return self.family.front_end.shortest(self.model, self.processor.feature_extractor)

    def frames_of(self, samples: int) -> int:
        """Frames that a waveform of `samples` samples yields."""
        if samples < self.shortest:
            return 0
        extractor = self.processor.feature_extractor
        return self.family.front_end.frames_of(self.model, extractor, samples)

    @property
    def front_end_parameters(self) -> list[nn.Parameter]:
        """What the front end computes with; none where it is not a network."""
        modules = map(self.backbone.get_submodule, self.family.front_end.modules)
        return [one for module in modules for one in module.parameters()]

    def features(self, waveforms: Sequence[np.ndarray], targets: Targets | None = None) -> Features:
        """Run the front end; gradients are recorded only where its parameters want them.

        Args:
            waveforms: mono float32 at `sampling_rate`, each at least `shortest` samples long.
            targets: label ids of each; None where there are none, as `Head.prepare` takes it.
        """
        return self.head.prepare(self, self._front_end_features(waveforms), targets)

    def decode(self, frames: np.ndarray) -> str:
        """The transcript of the best label of each frame; raises InputError as `frame_logits`."""
        return frame_labels(self).decode(frames)

    @property
    def hears_whole_recordings(self) -> bool:
        """Whether `recognise` takes waveforms of any length by itself."""
        return self.head.hears_whole_recordings

    def _front_end_features(self, waveforms: Sequence[np.ndarray]) -> Features:
        front_end, extractor = self.family.front_end, self.processor.feature_extractor
        trained = any(one.requires_grad for one in self.front_end_parameters)
        with torch.set_grad_enabled(trained and torch.is_grad_enabled()):
            found = [
                front_end.features(self.backbone, extractor, waveform, self.device)
                for waveform in waveforms
            ]
        each, units = [values.T for values, _ in found], [count for _, count in found]
        values = pad_sequence(each, batch_first=True).transpose(1, 2)
        if self.model.training:  # SpecAugment refuses a batch that is shorter than one mask
            short = getattr(self.model.config, "mask_time_length", 0) - values.shape[2]
            values = torch.nn.functional.pad(values, (0, max(0, short)))
        return Features(
            values=values,
            frames=torch.tensor([len(one) for one in each], device=self.device),
            units=torch.tensor(units, device=self.device),
        )

    def logits(self, features: Features) -> Tensor:
        """[utterances, positions, labels] of unnormalised log-probabilities, float32.

        Everything after the front end, in the model's present mode (train or eval).
        """
        clear_stale_positions(self.backbone)
        with self._padding_silenced(features):
            output = self.family.front_end.run(self.model, self.backbone, features)
        return self.head.at_positions(output.logits, features).float()

    @contextmanager
    def _padding_silenced(self, features: Features) -> Iterator[None]:
        """Inside, no convolution of the encoder hears what follows the end of an utterance."""
        padding = ~features.frame_mask.unsqueeze(1)

        def silence(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return (inputs[0].masked_fill(padding, 0.0),)

        with ExitStack() as stack:
            for layer in self.family.padding_sensitive_convolutions(self.model):
                stack.callback(layer.register_forward_pre_hook(silence).remove)
            yield

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Inside, the model is in eval mode: no dropout, no masks."""
        modes = {module: module.training for module in self.model.modules()}
        self.model.eval()
        try:
            yield
        finally:  # not all need have been in the same: batch norms may be frozen
            for module, training in modes.items():
                module.training = training

    @torch.inference_mode()
    def frame_logits(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Each waveform's logits, [frames, labels] float32 without padding.

        The model is in eval mode meanwhile.

        Raises:
            InputError: the model has no distribution over labels at every frame, as CTC models do.
        """
        frame_labels(self)
        with self.evaluating():
            features = self.features(waveforms)
            return without_padding(self.logits(features), features)

    @torch.inference_mode()
    def recognise(self, waveforms: Sequence[np.ndarray]) -> list[str | None]:
        """Transcripts, one for each waveform; None where the model's outputs are not finite. The
        model is in eval mode meanwhile."""
        with self.evaluating():
            return self.head.texts(self, self._front_end_features(waveforms))
