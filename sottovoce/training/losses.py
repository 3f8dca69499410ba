"""Losses of one padded batch, all in nats a position so that their weights compare.

xu2025 leaves the reductions open. Here each is the sum over the batch divided by its positions (of
CTC: frames), padding excluded: a task loss (each head has its own) and a KL divergence with
coefficient 1 then pull about equally hard, whatever the batch's size.
"""

from torch import Tensor

from sottovoce.training.posteriors import Posteriors


def kl_divergence(teacher: Tensor | Posteriors, student: Tensor, counted: Tensor) -> Tensor:
    """KL(stopgrad(teacher) || student) of the label distributions (xu2025 eq. 4), a position.

    Args:
        teacher: logits as the student's, or what is kept of them.
        student: logits, [utterances, positions, labels].
        counted: [utterances, positions], True where a position counts.
    """
    posteriors = teacher if isinstance(teacher, Posteriors) else Posteriors(teacher)
    return posteriors.divergence(student, counted) / counted.sum().clamp(min=1)
