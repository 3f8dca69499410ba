"""A teacher's distributions, whole and cut to the likeliest labels."""

import pytest
import torch

from sottovoce.training.losses import kl_divergence
from sottovoce.training.posteriors import Posteriors

COUNTED = torch.arange(5) < torch.tensor([5, 3]).unsqueeze(1)


def _logits(seed: int, spread: float = 3.0) -> torch.Tensor:
    return spread * torch.randn(2, 5, 40, generator=torch.Generator().manual_seed(seed))


def test_all_labels_kept_lose_nothing() -> None:
    teacher, student = _logits(0), _logits(1)
    whole = kl_divergence(teacher, student, COUNTED)
    kept = kl_divergence(Posteriors(teacher).likeliest(40), student, COUNTED)
    torch.testing.assert_close(kept, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kept", [1, 4, 16])
def test_fewer_labels_bound_the_divergence_from_below(kept: int) -> None:
    """The data-processing inequality: all other labels are one."""
    teacher, student = _logits(0), _logits(1)
    whole = kl_divergence(teacher, student, COUNTED)
    found = kl_divergence(Posteriors(teacher).likeliest(kept), student, COUNTED)
    assert 0 < found <= whole


def test_the_kept_labels_gradient_is_nearly_that_of_all() -> None:
    """A peaked teacher, as a recogniser is: 8 of 40 labels hold nearly all of its mass."""
    teacher = _logits(0, spread=8.0)
    gradients = []
    for posteriors in (Posteriors(teacher), Posteriors(teacher).likeliest(8)):
        student = _logits(0, spread=6.0).requires_grad_()
        kl_divergence(posteriors, student, COUNTED).backward()
        gradients.append(student.grad)
    first, second = gradients
    assert (first - second).norm() < 0.02 * first.norm()


def test_a_student_that_agrees_has_no_gradient() -> None:
    student = _logits(0).requires_grad_()
    loss = kl_divergence(Posteriors(student.detach()).likeliest(8), student, COUNTED)
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-5)
    assert student.grad.abs().max() < 1e-4


def test_padding_counts_for_nothing_and_may_be_of_any_length() -> None:
    teacher, student = Posteriors(_logits(0)).likeliest(6), _logits(1)
    expected = kl_divergence(teacher, student, COUNTED)
    longer = torch.cat([student, torch.full((2, 3, 40), 7.0)], 1)
    counted = torch.cat([COUNTED, torch.zeros(2, 3, dtype=torch.bool)], 1)
    torch.testing.assert_close(kl_divergence(teacher.over(8), longer, counted), expected)


def test_no_position_at_all_is_no_loss() -> None:
    none = torch.zeros_like(COUNTED)
    assert kl_divergence(Posteriors(_logits(0)).likeliest(6), _logits(1), none).item() == 0
