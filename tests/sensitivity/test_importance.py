import pytest
import torch
from torch import Tensor

from sottovoce.sensitivity.importance import Importance, anneal, expected_loss, gumbel_softmax

WEIGHTS = [100, 300, 50, 150, 400]


def _importance(spread: float = 1.5, weights: list[int] = WEIGHTS) -> Importance:
    """In double precision, with log alpha drawn at random."""
    importance = Importance(weights, (2, 4, 8)).double()
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(importance.log_alpha.shape, generator=generator, dtype=torch.float64)
    importance.log_alpha.data = spread * drawn
    return importance


def _task_loss(log_probabilities: Tensor) -> Tensor:
    """Anything that depends on each probability in its own way."""
    count = log_probabilities.numel()
    weights = torch.linspace(-1, 2, count, dtype=torch.float64).reshape(log_probabilities.shape)
    return (weights * log_probabilities.exp()).square().sum()


def test_the_widest_is_favoured_at_the_start_and_nothing_is_excluded() -> None:
    probability = Importance(WEIGHTS, (2, 4, 8)).log_probabilities(None).exp().detach()
    assert bool((probability.diff(dim=1) > 0).all())
    assert float(probability.min()) > 0.05


def test_without_a_budget_the_distribution_is_alphas() -> None:
    importance = _importance()
    alpha = importance.log_alpha.exp()
    expected = alpha / alpha.sum(1, keepdim=True)
    torch.testing.assert_close(importance.log_probabilities(None).exp(), expected)


@pytest.mark.parametrize("budget", [2.0, 2.05, 3.0, 4.6, 6.0, 7.9, 8.0])
@pytest.mark.parametrize("spread", [0.0, 1.5, 12.0])
def test_expected_bits_meet_the_budget(budget: float, spread: float) -> None:
    importance = _importance(spread)
    found = importance.expected_bits(importance.log_probabilities(budget))
    assert found.item() == pytest.approx(budget, abs=1e-6)
    single = importance.float()
    found = single.expected_bits(single.log_probabilities(budget))
    assert found.item() == pytest.approx(budget, abs=1e-4)


def test_expected_bits_count_each_group_by_its_weights() -> None:
    probabilities = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    importance = Importance([300, 100], (2, 4, 8))
    assert importance.expected_bits(probabilities.log()).item() == pytest.approx(3.0)


def test_the_budget_leaves_the_order_of_layers_alone() -> None:
    importance = _importance()
    before, after = importance.log_probabilities(None), importance.log_probabilities(3.0)
    shift = (after - before).diff(dim=1)
    # Only -nu * b and a constant of each row were added.
    ratio = shift[:, 1] / shift[:, 0]
    torch.testing.assert_close(ratio, torch.full_like(ratio, (8 - 4) / (4 - 2)))


def test_the_gradient_through_the_budget_is_that_of_finite_differences() -> None:
    importance = _importance()
    _task_loss(importance.log_probabilities(4.3)).backward()
    step = 1e-5
    differences = torch.zeros_like(importance.log_alpha)
    for index in range(differences.numel()):
        losses = []
        for sign in (1, -1):
            with torch.no_grad():
                importance.log_alpha.view(-1)[index] += sign * step
                losses.append(_task_loss(importance.log_probabilities(4.3)))
                importance.log_alpha.view(-1)[index] -= sign * step
        differences.view(-1)[index] = (losses[0] - losses[1]) / (2 * step)
    torch.testing.assert_close(importance.log_alpha.grad, differences, rtol=1e-4, atol=1e-7)
    assert float(differences.norm()) > 0.1


def test_the_gradient_cannot_change_the_size() -> None:
    importance = _importance()
    _task_loss(importance.log_probabilities(4.3)).backward()
    towards_wider = importance.bits.expand_as(importance.log_alpha)
    assert importance.log_alpha.grad is not None
    along = (importance.log_alpha.grad * towards_wider).sum()
    assert along.item() == pytest.approx(0.0, abs=1e-10)
    size = importance.expected_bits(importance.log_probabilities(4.3))
    (of_size,) = torch.autograd.grad(size, importance.log_alpha)
    assert float(of_size.abs().max()) < 1e-10


@pytest.mark.parametrize("spread", [10.0, 40.0, 80.0])
def test_the_gradient_stays_small_where_all_is_decided(spread: float) -> None:
    importance = _importance(spread).float()
    (importance.log_probabilities(4.5).exp() * torch.randn(5, 3)).sum().backward()
    assert importance.log_alpha.grad is not None
    assert float(importance.log_alpha.grad.abs().max()) < 1


def test_a_sample_is_a_distribution() -> None:
    log_probabilities = _importance().log_probabilities(4.0)
    noise = torch.rand(log_probabilities.shape, generator=torch.Generator().manual_seed(0))
    sample = gumbel_softmax(log_probabilities, 0.5, noise.double())
    assert bool((sample > 0).all())
    torch.testing.assert_close(sample.sum(1), torch.ones(5).double())


def test_cold_samples_are_drawn_from_the_distribution() -> None:
    probability = torch.tensor([0.1, 0.3, 0.6])
    noise = torch.rand(20_000, 3, generator=torch.Generator().manual_seed(0))
    samples = gumbel_softmax(probability.log().expand(20_000, 3), 0.03, noise)
    torch.testing.assert_close(samples.mean(0), probability, atol=0.01, rtol=0)
    # At T = 0.03, P1's last temperature, nearly every sample is one-hot.
    assert float((samples.amax(1) > 0.9).float().mean()) > 0.9


def test_noise_at_the_ends_of_its_range_is_finite() -> None:
    noise = torch.tensor([[0.0, 1.0, 0.5]])
    sample = gumbel_softmax(torch.zeros(1, 3), 0.03, noise)
    assert sample.argmax().item() == 1
    assert bool(torch.isfinite(sample).all())


def test_annealing_goes_from_start_to_end_in_equal_ratios() -> None:
    assert anneal(0.0, 1.0, 0.03) == 1.0
    assert anneal(1.0, 1.0, 0.03) == pytest.approx(0.03)
    assert anneal(0.5, 1.0, 0.03) == pytest.approx(0.03**0.5)
    assert anneal(2.0, 1.0, 0.03) == pytest.approx(0.03)
    assert anneal(-1.0, 1.0, 0.03) == 1.0


def test_the_expected_loss_is_the_squared_first_order_term_under_the_distribution() -> None:
    log_probabilities = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]).log()
    of_shares = torch.tensor([[3.0, 1.0, 1.0], [-1.0, 0.0, 2.0]])
    costs = torch.tensor([[4.0, 0.0, 0.0], [9.0, 4.0, 0.0]])
    expected = (log_probabilities.exp() * costs).sum()
    torch.testing.assert_close(expected_loss(log_probabilities, of_shares), expected)


def test_the_expected_loss_teaches_what_the_fisher_information_says() -> None:
    """Two groups whose first-order terms have mean zero and differ in their variance alone."""
    importance = Importance([100, 100], (2, 8))
    optimizer = torch.optim.Adam([importance.log_alpha], lr=0.05)
    draws = torch.Generator().manual_seed(0)
    for _ in range(80):
        along = torch.randn(2, generator=draws) * torch.tensor([3.0, 1.0])
        of_shares = torch.stack([along, torch.zeros(2)], 1)
        optimizer.zero_grad()
        expected_loss(importance.log_probabilities(5.0), of_shares).backward()
        optimizer.step()
    sensitive, robust = (importance.log_probabilities(5.0).exp() @ importance.bits).tolist()
    assert sensitive > 6
    assert robust < 4


def test_nothing_is_learnt_at_the_start() -> None:
    importance = Importance([100, 300], (2, 4, 8))
    assert not importance.learnt.any()
    with torch.no_grad():
        importance.log_alpha[1, 0] += 2
    assert importance.learnt.tolist() == [[0, 0, 0], [2, 0, 0]]
