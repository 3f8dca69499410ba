"""What a front end makes of a batch of waveforms."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Targets = Sequence[tuple[int, ...]]
"""Label ids of each utterance."""


@dataclass(frozen=True)
class Features:
    """Front-end features of a padded batch.

    Attributes:
        values: [utterances, channels, frames].
        frames: [utterances], frames of each that are not padding.
        units: [utterances], what the model's attention mask counts of each: samples, or what its
            feature extractor makes of them.
        targets: label ids of each that are trained towards; empty where there are none.
        decoder_inputs: [utterances, tokens], what an attention decoder is given; None for none.
    """

    values: Tensor
    frames: Tensor
    units: Tensor
    targets: tuple[tuple[int, ...], ...] = ()
    decoder_inputs: Tensor | None = None

    @property
    def positions(self) -> Tensor:
        """[utterances], positions of the outputs of each that are not padding."""
        if self.decoder_inputs is None:
            return self.frames
        return torch.tensor(list(map(len, self.targets)), device=self.values.device)

    def position_mask(self, logits: Tensor) -> Tensor:
        """[utterances, positions], True where a position of the logits is not padding."""
        return _mask(self.positions, logits.shape[1])

    @property
    def frame_mask(self) -> Tensor:
        """[utterances, frames], True where a frame is not padding."""
        return _mask(self.frames, self.values.shape[2])

    @property
    def unit_mask(self) -> Tensor:
        """[utterances, units] of 0 and 1, as transformers wants it beside a padded batch."""
        return _mask(self.units, int(self.units.max())).long()


def _mask(lengths: Tensor, longest: int) -> Tensor:
    return torch.arange(longest, device=lengths.device) < lengths.unsqueeze(1)
