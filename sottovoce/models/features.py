"""What a front end makes of a batch of waveforms."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Features:
    """Front-end features of a padded batch.

    Attributes:
        values: [utterances, channels, frames].
        frames: [utterances], frames of each that are not padding.
        units: [utterances], what the model's attention mask counts of each: samples, or what its
            feature extractor makes of them.
    """

    values: Tensor
    frames: Tensor
    units: Tensor

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
