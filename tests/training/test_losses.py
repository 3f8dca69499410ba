import pytest
import torch
from tiny import noise, tiny_model

from sottovoce.models.heads.ctc import ctc_loss
from sottovoce.training.losses import kl_divergence

FRAMES = torch.tensor([9, 6])
MASK = torch.arange(9) < FRAMES.unsqueeze(1)
LABELS = ((5, 6, 4, 7), (7, 7))


def _logits(seed: int) -> torch.Tensor:
    return torch.randn(2, 9, 8, generator=torch.Generator().manual_seed(seed))


def test_ctc_is_transformers_own_loss_a_frame() -> None:
    model = tiny_model("wav2vec2", ctc_loss_reduction="sum")
    waveforms = [noise(0.3), noise(0.2, seed=1)]
    longest = len(waveforms[0])
    values, mask = torch.zeros(2, longest), torch.zeros(2, longest, dtype=torch.long)
    for row, waveform in enumerate(waveforms):
        values[row, : len(waveform)] = torch.from_numpy(waveform)
        mask[row, : len(waveform)] = 1
    labels = torch.tensor([[5, 6, 4, 7], [7, 5, -100, -100]])
    with torch.no_grad():
        theirs = model(values, attention_mask=mask, labels=labels)
    frames = model._get_feat_extract_output_lengths(mask.sum(1))
    ours = ctc_loss(theirs.logits, frames, ((5, 6, 4, 7), (7, 5)), blank=0)
    torch.testing.assert_close(ours * frames.sum(), theirs.loss)


def test_ctc_of_one_label_sums_over_its_places() -> None:
    # Two frames, blank 0 and label 1: the paths are 11, 01 and 10.
    logits = torch.tensor([[[0.6, 0.4], [0.3, 0.7]]]).log()
    probability = 0.4 * 0.7 + 0.6 * 0.7 + 0.4 * 0.3
    found = ctc_loss(logits, torch.tensor([2]), [[1]], blank=0)
    torch.testing.assert_close(found, -torch.tensor(probability).log() / 2)


@pytest.mark.parametrize("loss", ["ctc", "kl"])
def test_padding_does_not_matter(loss: str) -> None:
    logits, teacher = _logits(0), _logits(1)
    other, other_teacher = logits.clone(), teacher.clone()
    other[~MASK], other_teacher[~MASK] = 17.0, torch.nan
    if loss == "ctc":
        assert torch.equal(ctc_loss(logits, FRAMES, LABELS, 0), ctc_loss(other, FRAMES, LABELS, 0))
    else:
        found = kl_divergence(other_teacher, other, MASK)
        assert torch.equal(kl_divergence(teacher, logits, MASK), found)


def test_ctc_of_a_batch_is_the_mean_over_its_frames() -> None:
    logits = _logits(0)
    each = [
        ctc_loss(logits[row : row + 1, :frames], torch.tensor([frames]), [LABELS[row]], 0) * frames
        for row, frames in enumerate(FRAMES.tolist())
    ]
    torch.testing.assert_close(ctc_loss(logits, FRAMES, LABELS, 0), sum(each) / FRAMES.sum())


def test_utterances_without_words_can_be_trained_on() -> None:
    logits = _logits(0)
    silent = -logits.log_softmax(2)[..., 0][MASK].sum() / FRAMES.sum()
    torch.testing.assert_close(ctc_loss(logits, FRAMES, [(), ()], 0), silent)


def test_a_transcript_that_does_not_fit_adds_nothing_and_no_gradient_explodes() -> None:
    logits = _logits(0).requires_grad_()
    loss = ctc_loss(logits, torch.tensor([9, 2]), ((5,), (5, 5, 5)), 0)
    loss.backward()
    assert bool(torch.isfinite(loss))
    assert logits.grad is not None
    assert not bool(logits.grad[1].any())


def test_kl_is_zero_for_equal_distributions_and_positive_otherwise() -> None:
    teacher = _logits(0)
    # A constant in a frame's logits changes no distribution.
    assert kl_divergence(teacher, teacher + 3.0, MASK).item() == pytest.approx(0.0, abs=1e-6)
    assert kl_divergence(teacher, _logits(1), MASK).item() > 0.1


def test_kl_is_the_teachers_expectation_and_its_gradient_spares_the_teacher() -> None:
    teacher, student = _logits(0).requires_grad_(), _logits(1).requires_grad_()
    found = kl_divergence(teacher, student, MASK)
    p, q = teacher.softmax(2), student.softmax(2)
    each = (p * (p / q).log()).sum(2)
    torch.testing.assert_close(found, each[MASK].mean())
    found.backward()
    assert teacher.grad is None
    assert student.grad is not None
    torch.testing.assert_close(student.grad[MASK], ((q - p)[MASK] / MASK.sum()).detach())
