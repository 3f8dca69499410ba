"""Losses of one padded batch, all in nats a position so that their weights compare.

xu2025 leaves the reductions open. Here each is the sum over the batch divided by its positions (of
CTC: frames), padding excluded: a task loss (each head has its own) and a KL divergence with
coefficient 1 then pull about equally hard, whatever the batch's size.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def kl_divergence(teacher: Tensor, student: Tensor, positions: Tensor) -> Tensor:
    """KL(stopgrad(teacher) || student) of the label distributions (xu2025 eq. 4), a position.

    Args:
        teacher, student: logits, [utterances, positions, labels].
        positions: [utterances], positions of each that are not padding.
    """
    counted = torch.arange(student.shape[1], device=student.device) < positions.unsqueeze(1)
    target = teacher.detach()[counted].log_softmax(1)
    return F.kl_div(student[counted].log_softmax(1), target, reduction="sum", log_target=True) / (
        len(target)
    )
