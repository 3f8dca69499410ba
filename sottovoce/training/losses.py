"""Losses of one padded batch, all in nats a frame so that their weights compare.

xu2025 leaves the reductions open. Here each is the sum over the batch divided by its frames,
padding excluded: a CTC loss and a KL divergence with coefficient 1 then pull about equally hard,
whatever the batch's size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def ctc_loss(logits: Tensor, frames: Tensor, labels: Sequence[Sequence[int]], blank: int) -> Tensor:
    """Connectionist temporal classification, nats a frame.

    Args:
        logits: [utterances, frames, labels].
        frames: [utterances], frames that are not padding.
        labels: each utterance's label ids.
    """
    targets = torch.tensor(
        [label for one in labels for label in one], dtype=torch.long, device=logits.device
    )
    lengths = torch.tensor([len(one) for one in labels], device=logits.device)
    log_probabilities = logits.log_softmax(2).transpose(0, 1)
    total = F.ctc_loss(
        log_probabilities, targets, frames, lengths, blank, reduction="sum", zero_infinity=True
    )
    return total / frames.sum()


def kl_divergence(teacher: Tensor, student: Tensor, frame_mask: Tensor) -> Tensor:
    """KL(stopgrad(teacher) || student) of the frames' label distributions (xu2025 eq. 4), a frame.

    Args:
        teacher, student: logits, [utterances, frames, labels].
        frame_mask: [utterances, frames], True where a frame counts.
    """
    target = teacher.detach()[frame_mask].log_softmax(1)
    return F.kl_div(
        student[frame_mask].log_softmax(1), target, reduction="sum", log_target=True
    ) / (len(target))
