"""What a teacher thinks at every position: all of its log-probabilities, or the likeliest ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

_LEAST_REST = 1e-7
"""Mass of the labels that were not kept is taken as at least this: float32 counts no finer."""


@dataclass(frozen=True)
class Posteriors:
    """Distributions over labels of a padded batch.

    Attributes:
        log_probabilities: [utterances, positions, labels]; unnormalised ones where all are there.
        labels: which label each is, of the same shape; None where all are there, in order.
    """

    log_probabilities: Tensor
    labels: Tensor | None = None

    @classmethod
    def padded(cls, each: Sequence["Posteriors"]) -> "Posteriors":
        """Several utterances', [positions, labels] each, side by side."""
        values = pad_sequence([one.log_probabilities for one in each], batch_first=True)
        kept = [one.labels for one in each if one.labels is not None]
        return cls(values, pad_sequence(kept, batch_first=True) if kept else None)

    def likeliest(self, kept: int | None) -> "Posteriors":
        """The likeliest labels alone; all where `kept` is None."""
        if kept is None:
            return self
        best = self.log_probabilities.log_softmax(-1).topk(
            min(kept, self.log_probabilities.shape[-1]), dim=-1
        )
        return Posteriors(best.values, best.indices)

    def at(self, device: torch.device) -> "Posteriors":
        """On a device, as float32."""
        labels = None if self.labels is None else self.labels.to(device)
        return Posteriors(self.log_probabilities.float().to(device), labels)

    def over(self, positions: int) -> "Posteriors":
        """With padding as long as a batch's."""
        short = positions - self.log_probabilities.shape[1]
        if not short:
            return self
        values = pad(self.log_probabilities, (0, 0, 0, short))
        return Posteriors(
            values, None if self.labels is None else pad(self.labels, (0, 0, 0, short))
        )

    def divergence(self, student: Tensor, counted: Tensor) -> Tensor:
        """KL(these || student), summed over positions.

        Where only the likeliest labels are there, all others count as one label more: the sum is
        then a lower bound, and exact where the student spreads over them as the teacher does.

        Args:
            student: logits, [utterances, positions, labels].
            counted: [utterances, positions], True where a position counts.
        """
        target, logits = self.log_probabilities.detach()[counted], student[counted].log_softmax(1)
        if self.labels is None:
            return torch.nn.functional.kl_div(
                logits, target.log_softmax(1), reduction="sum", log_target=True
            )
        of_kept = logits.gather(1, self.labels[counted].long())
        kept = (target.exp() * (target - of_kept)).sum()
        rest, rest_of_student = _rest(target), _rest(of_kept)
        return kept + (rest.exp() * (rest - rest_of_student)).sum()


def _rest(log_probabilities: Tensor) -> Tensor:
    """Log mass of all other labels, [positions]."""
    return torch.log((1 - log_probabilities.exp().sum(1)).clamp(min=_LEAST_REST))
