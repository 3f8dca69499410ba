"""Joint mixed-precision learning and quantized training: xu2025's Pass 1, as an objective.

    L = [L_fp] + L_mp + sum_i lambda_i L_i + beta_mp KL_mp + beta_kl sum_i beta_i KL_i + eta C_size

with the terms that the recipe asks for. While the plan is learnt, L_mp is the loss of the mixed
network under a fresh Gumbel-softmax sample. Then the plan of the largest learnt importance that
fits the budget is frozen, and the rest of the updates train its weights alone: soft mixtures
cancel rounding errors, and a plan has to be trained as hard as it will be served.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn.utils import parametrize
from transformers import set_seed

from sottovoce.config.recipe import Recipe
from sottovoce.models.features import Features
from sottovoce.models.recogniser import Recogniser
from sottovoce.quantization.affine import Affine
from sottovoce.quantization.learned_scales import TrainingAffine
from sottovoce.quantization.plan import Plan, mean_bits
from sottovoce.search.quantized_cnns import QuantizedCnns, fixed_plan
from sottovoce.search.supernet import FULL, MIXED, PLAN, QuantizedStep, Supernet, width_groups
from sottovoce.search.trunk import SharedTrunk
from sottovoce.sensitivity.allocation import Choice, best_allocation
from sottovoce.sensitivity.importance import Importance, anneal, expected_loss, gumbel_softmax
from sottovoce.training.batch import Batch
from sottovoce.training.distributed import all_reduce_gradient
from sottovoce.training.full_precision import freeze_front_end, freeze_statistics, weight_groups
from sottovoce.training.loop import (
    LrSchedule,
    ParameterGroup,
    Update,
    prefixed_state,
    random_state,
    restore_module,
    warmup_linear_decay,
)
from sottovoce.training.losses import kl_divergence
from sottovoce.training.posteriors import Posteriors
from sottovoce.training.state import Saved
from sottovoce.training.teacher import CachedTeacher


class JointObjective:
    """Pass 1 on one recogniser, whose encoder matrices become mixed layers.

    Args:
        teacher: needed where the recipe's teacher is "cached" and some term uses it.
        plan: a plan to train instead of learning one; the search phase is then empty, as it is
            where there is a single candidate (uniform quantization).

    Raises:
        InputError: the plan is not for this model, or has a precision that is no candidate.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        recipe: Recipe,
        accelerator: Accelerator,
        teacher: CachedTeacher | None = None,
        plan: Plan | None = None,
    ) -> None:
        self.recipe = recipe
        self.accelerator = accelerator
        self.teacher = teacher
        candidates = tuple(recipe.precisions.values())
        self.supernet = Supernet(
            recogniser,
            candidates,
            recipe.initial_range,
            scales=recipe.scales,
            fused=bool(recipe.fused),
        )
        fixed = fixed_plan(recogniser, recipe.cnn_precision, recipe.embedding_precision)
        self.cnns = QuantizedCnns(recogniser, fixed, recipe.scales)
        if plan is None and len(candidates) == 1:
            plan = self.supernet.plan(recipe.widths * len(self.supernet.layers))
        if plan is not None:
            self.supernet.check(plan)
        if (
            recipe.teacher == "cached"
            and teacher is None
            and recipe.taught(1, searching=plan is None)
        ):
            raise ValueError('the recipe\'s teacher is "cached": give one')
        self.searches = plan is None
        self.plan = plan
        self.recogniser = recogniser
        self.groups = width_groups(self.supernet.matrices, recipe.search_granularity)
        sizes = [rows * columns for rows, columns in self.supernet.shapes.values()]
        self.group_sizes = [
            sum(size for size, own in zip(sizes, self.groups, strict=True) if own == group)
            for group in range(max(self.groups) + 1)
        ]
        self.importance = Importance(self.group_sizes, recipe.widths)
        recogniser.model.to(accelerator.device).train()
        freeze_statistics(recogniser)
        self.importance.to(accelerator.device)
        if not recipe.train_front_end:
            freeze_front_end(recogniser)

    def parameter_groups(self) -> list[ParameterGroup]:
        affines = [affine for each in self.affines().values() for affine in each]
        scales = [p for affine in affines for p in affine.parameters() if p.requires_grad]
        apart = frozenset(id(one) for one in scales)
        return [
            *weight_groups(self.recogniser.model, self.recipe, apart),
            ParameterGroup(scales, self.recipe.scale_learning_rate),
            ParameterGroup(
                [self.importance.log_alpha], self.recipe.importance_learning_rate, scheduled=False
            ),
        ]

    def lr_schedule(self, update: Update) -> LrSchedule:
        """xu2025's schedule where the search is all; else it begins when the plan is frozen."""
        searched = self.recipe.searched(update.total)
        if not self.searches or searched == update.total:
            return LrSchedule(warmup_linear_decay(update, self.recipe.warmup))
        if update.index < searched:
            return LrSchedule(self.recipe.search_pace)
        rest = Update(update.index - searched, update.total - searched)
        return LrSchedule(
            warmup_linear_decay(rest, self.recipe.warmup), reset_optimizer=rest.index == 0
        )

    def update(self, batch: Batch, update: Update) -> dict[str, Any]:
        searched = self.recipe.searched(update.total)
        if self.plan is None and update.index >= searched:
            self.plan = self.hard_plan()
        features = self.recogniser.features(batch.waveforms, batch.targets)
        if self.plan is not None:
            step = self.supernet.quantize(self._students(update), plan=self.plan)
            loss = self._run_networks(batch, features, step, PLAN, update)
            return {"loss": loss, "hard_bits": self.plan.nominal_bits(self.supernet.shapes)}

        progress = update.index / searched
        temperature = anneal(progress, self.recipe.temperature_start, self.recipe.temperature_end)
        log_probabilities = self.importance.log_probabilities(self._budget(progress))
        noise = uniform_noise(self.recipe.seed, update, log_probabilities.shape)
        sampled = gumbel_softmax(log_probabilities, temperature, noise.to(log_probabilities.device))
        shares = sampled.detach().requires_grad_()
        mixtures = {
            name: shares[group]
            for name, group in zip(self.supernet.layers, self.groups, strict=True)
        }
        expected = self.importance.expected_bits(log_probabilities)
        step = self.supernet.quantize(self._students(update), mixtures)
        loss = self._run_networks(batch, features, step, MIXED, update)
        of_shares = all_reduce_gradient(shares.grad, shares, batch.frames)
        self._learn_importance(log_probabilities, sampled, of_shares)
        return {
            "loss": loss,
            "temperature": temperature,
            "expected_bits": expected.item(),
            "hard_bits": self._choice().mean_bits,
        }

    def _learn_importance(
        self, log_probabilities: Tensor, sampled: Tensor, of_shares: Tensor | None
    ) -> None:
        """Leave the importances' gradient behind, from dL/dlambda, [groups, candidates]."""
        if of_shares is None:
            return
        if self.recipe.importance_gradient == "sampled":
            cost = (sampled * of_shares).sum()
        else:
            cost = expected_loss(log_probabilities, of_shares)
        if self.recipe.eta is not None:
            cost = cost + self.recipe.eta * self.importance.expected_bits(log_probabilities)
        cost.backward()

    def _run_networks(
        self, batch: Batch, features: Features, step: QuantizedStep, main: str, update: Update
    ) -> float:
        """Run and differentiate one network after another; the sum of their losses."""
        recipe, total = self.recipe, 0.0
        kl_main = recipe.kl_mixed if main == MIXED else recipe.kl_frozen
        weights: dict[str | float, tuple[float, float]] = {main: (1.0, kl_main)}
        of_ctc, of_kl = dict(recipe.student_ctc), dict(recipe.student_kl)
        if recipe.learns_from_teacher_alone:
            weights, of_ctc = {main: (0.0, 1.0)}, {}
        for bits in self._students(update):
            weights[bits] = (of_ctc.get(bits, 0.0), recipe.kl_students * of_kl.get(bits, 0.0))

        shared = _Shared(batch, features, step, update, SharedTrunk(self.recogniser))
        pulled = any(kl for _, kl in weights.values())
        if pulled and recipe.teacher == "live":
            loss, logits = self._run_network(shared, FULL, ctc=1.0, kl=0.0)
            total, shared = total + loss, replace(shared, teacher=Posteriors(logits))
        elif pulled and self.teacher is not None:
            posteriors = self.teacher.posteriors(batch.ids).at(features.values.device)
            shared = replace(shared, teacher=posteriors)
        for network, (ctc, kl) in weights.items():
            if ctc or kl:
                total += self._run_network(shared, network, ctc, kl)[0]
        shared.trunk.backward()
        return total

    def _run_network(
        self, shared: "_Shared", network: str | float, ctc: float, kl: float
    ) -> tuple[float, Tensor]:
        """Loss and logits of one network, under the same masks as every other of the update.

        Its graph ends with this call: kept any longer, its nodes would lie scattered in memory
        among the activations of the next network.
        """
        features = shared.features
        set_seed(random_state(self.recipe.seed, shared.update))
        with (
            shared.step.running(network),
            shared.trunk.running(),
            parametrize.cached(),  # an embedding that is the output projection too is used twice
            self.accelerator.autocast(),
        ):
            logits = self.recogniser.logits(features)
        loss = logits.new_zeros(())
        if ctc:
            loss = ctc * self.recogniser.head.task_loss(logits, features)
        if shared.teacher is not None and kl:
            teacher, counted = shared.teacher.over(logits.shape[1]), features.position_mask(logits)
            loss = loss + kl * kl_divergence(teacher, logits, counted)
        self.accelerator.backward(loss)
        shared.step.collect(network)
        return loss.item(), logits.detach()

    def _students(self, update: Update) -> tuple[float, ...]:
        """Widths of the uniform networks that run at this update."""
        if self.recipe.students == "none" or len(self.recipe.widths) == 1:
            return ()
        if self.recipe.students == "all":
            return self.recipe.widths
        return (random.Random(random_state(self.recipe.seed, update)).choice(self.recipe.widths),)  # noqa: S311

    def _budget(self, progress: float) -> float | None:
        """Expected bits allowed now: falls from the widths' start to the target over the ramp."""
        if self.recipe.bits is None:
            return None
        start = float(self.importance.start.softmax(0) @ self.importance.bits)
        along = min(1.0, progress / max(1e-9, self.recipe.budget_ramp))
        return start + (self.recipe.bits - start) * along

    @torch.no_grad()
    def _choice(self) -> Choice:
        if self.recipe.bits is not None:
            scores = self.importance.learnt.cpu().numpy()
            return best_allocation(scores, self.group_sizes, self.recipe.widths, self.recipe.bits)
        likeliest = self.importance.log_alpha.argmax(1).tolist()
        widths = tuple(self.recipe.widths[index] for index in likeliest)
        return Choice(widths, mean_bits(self.group_sizes, widths))

    def hard_plan(self) -> Plan:
        """The plan that would be deployed now: frozen, or the most important one that fits."""
        if self.plan is not None:
            return self.plan
        bits = self._choice().bits
        return self.supernet.plan([bits[group] for group in self.groups])

    def whole_plan(self) -> Plan:
        """`hard_plan` and the "CNNs" where they are quantized: all that will be packed."""
        return Plan({**self.hard_plan(), **self.cnns.plan})

    def affines(self) -> dict[str, list[TrainingAffine]]:
        """Layer name -> its scales and offsets, for each candidate; "CNNs" have one."""
        matrices = {name: layer.affines for name, layer in self.supernet.layers.items()}
        return {**matrices, **{name: [affine] for name, affine in self.cnns.affines.items()}}

    @torch.no_grad()
    def affine_of(self, layer: str) -> Affine:
        """The scales and offsets that a layer of `whole_plan` is packed with."""
        if layer in self.supernet.layers:
            return self.supernet.layers[layer].affine_of(self.hard_plan()[layer].bits)
        return self.cnns.affine_of(layer)

    def dismantle(self) -> None:
        """Leave an ordinary model behind, with the latent weights that trained."""
        self.supernet.dismantle()
        self.cnns.dismantle()

    @torch.no_grad()
    def expected_bits(self) -> dict[str, float] | None:
        """Each layer's mean bits under what was learnt, at the target size; None if nothing was."""
        if not self.importance.learnt.any():
            return None
        probabilities = self.importance.log_probabilities(self.recipe.bits).exp()
        bits = (probabilities @ self.importance.bits).tolist()
        return {name: bits[g] for name, g in zip(self.supernet.layers, self.groups, strict=True)}

    @contextmanager
    def deployed(self) -> Iterator[Recogniser]:
        with self.supernet.deployed(self.hard_plan()) as recogniser, parametrize.cached():
            yield recogniser

    def state(self) -> Saved:
        tensors = {
            **prefixed_state("model", self.recogniser.model),
            **prefixed_state("importance", self.importance),
        }
        return Saved(tensors, {"plan": self.plan.to_json() if self.plan else None})

    def restore(self, state: Saved) -> None:
        restore_module("model", self.recogniser.model, state.tensors)
        restore_module("importance", self.importance, state.tensors)
        self.plan = Plan.from_json(state.facts["plan"]) if state.facts["plan"] else None


def uniform_noise(seed: int, update: Update, shape: Sequence[int]) -> Tensor:
    """U in [0, 1) of an update's Gumbel-softmax, float32 on the CPU.

    It has a stream of its own: the networks' begins with what LayerDrop drops.
    """
    generator = torch.Generator().manual_seed(2**32 - 1 - random_state(seed, update))
    return torch.rand(tuple(shape), generator=generator)


@dataclass(frozen=True)
class _Shared:
    """What all networks of an update share."""

    batch: Batch
    features: Features
    step: QuantizedStep
    update: Update
    trunk: SharedTrunk
    teacher: Posteriors | None = None
