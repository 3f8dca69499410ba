"""How much each width matters to each layer: a distribution that is learnt under a size budget.

xu2025 adds eta * C_size to the loss and tunes eta until the size comes out right. Here the size is
the user's option, so the multiplier is solved for: at every update the distribution is

    p_l(b)  ~  alpha_l(b) * exp(-nu * b)         with nu such that the expected bits meet the budget

and the gradient flows through nu (implicit differentiation), which removes from every step the
part that would only change the size. What remains is what the task says: which layer should have
the bits. With `eta` given instead of a budget, nu = 0 and xu2025's term is in the loss.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_HEAD_START = 2.0


class Importance(nn.Module):
    """The importance parameters of all groups, and the distributions they stand for.

    Attributes:
        log_alpha: [groups, candidates]. Starts in favour of the widest, never one-hot.
        bits: [candidates], ascending.
        weights: [groups], share of all quantized weights that the group holds; sums to 1.
    """

    bits: Tensor
    weights: Tensor
    start: Tensor

    def __init__(self, weights: Sequence[int], candidates: Sequence[float]) -> None:
        super().__init__()
        bits = torch.tensor(candidates, dtype=torch.float32)
        self.register_buffer("bits", bits)
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32) / sum(weights))
        start = _HEAD_START * torch.arange(len(candidates)) / max(1, len(candidates) - 1)
        self.register_buffer("start", start)
        self.log_alpha = nn.Parameter(start.repeat(len(weights), 1))

    @property
    def learnt(self) -> Tensor:
        """[groups, candidates], how far each importance has come from where all of them began.

        The sum over groups ranks plans of equal size: whatever favours a width in all groups
        alike (the start, the multiplier) would favour plans with few large matrices raised.
        """
        return self.log_alpha - self.start

    def log_probabilities(self, budget: float | None) -> Tensor:
        """[groups, candidates]; with a budget, its expected bits equal the budget."""
        if budget is None:
            return self.log_alpha.log_softmax(1)
        nu = self._multiplier(budget)
        size = self.expected_bits((self.log_alpha - nu * self.bits).log_softmax(1))
        probability = (self.log_alpha.detach() - nu * self.bits).softmax(1)
        apart = self.bits - (probability @ self.bits).unsqueeze(1)
        spread = (probability * apart**2).sum(1)
        slope = (self.weights * spread).sum().clamp_min(1e-12)
        # One Newton step from the solution: zero in value, and its gradient is dnu/dalpha.
        nu = nu + (size - size.detach()) / slope
        return (self.log_alpha - nu * self.bits).log_softmax(1)

    def expected_bits(self, log_probabilities: Tensor) -> Tensor:
        """C_size in bits a weight: sum_l share_l sum_b p_l(b) b. Exact, a scalar."""
        return (self.weights * (log_probabilities.exp() @ self.bits)).sum()

    @torch.no_grad()
    def _multiplier(self, budget: float) -> Tensor:
        low, high = self.log_alpha.new_tensor(-64.0), self.log_alpha.new_tensor(64.0)
        for _ in range(60):
            middle = (low + high) / 2
            bits = self.expected_bits((self.log_alpha - middle * self.bits).log_softmax(1))
            low, high = (middle, high) if bits > budget else (low, middle)
        return high


def gumbel_softmax(log_probabilities: Tensor, temperature: float, noise: Tensor) -> Tensor:
    """Lambda of xu2025 eq. 2: softmax((log alpha + G) / T) over the last dimension.

    Args:
        noise: U in (0, 1) of the same shape; G = -log(-log U).
    """
    gumbel = -torch.log(-torch.log(noise.clamp(1e-6, 1 - 1e-6)))
    return ((log_probabilities + gumbel) / temperature).softmax(-1)


def expected_loss(log_probabilities: Tensor, of_shares: Tensor) -> Tensor:
    """Return the expected cost of the widths, to second order, whose gradient teaches importances.

    Quantizing layer l to b bits moves its weights by D and costs about D'FD / 2, F the Fisher
    information. The first-order term g'D of one batch has mean near zero and says little of a
    layer; but its *variance* over batches is D'FD over the batch's size, so that its square
    estimates the cost of each width (up to a factor that all layers share). g'D is at hand: the
    derivative of the loss by lambda_b less that by the widest candidate's.

    Args:
        log_probabilities: [groups, candidates], the widest candidate last.
        of_shares: dL/dlambda of one batch, [groups, candidates].
    """
    first_order = of_shares - of_shares[:, -1:]
    return (log_probabilities.exp() * first_order.square()).sum()


def anneal(progress: float, start: float, end: float) -> float:
    """Exponential annealing from `start` at progress 0 to `end` at 1."""
    return float(start * (end / start) ** min(1.0, max(0.0, progress)))
