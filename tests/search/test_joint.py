from collections.abc import Callable
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from networks import recorded_networks
from rich.console import Console
from transformers import set_seed

from sottovoce.config.recipe import Recipe
from sottovoce.errors import InputError
from sottovoce.models.heads.ctc import ctc_loss
from sottovoce.models.recogniser import Recogniser
from sottovoce.quantization import fake_quantize as fake
from sottovoce.quantization.fake_quantize import fake_quantize
from sottovoce.quantization.plan import Plan, Precision
from sottovoce.search.joint import JointObjective, uniform_noise
from sottovoce.search.supernet import FULL, MIXED, PLAN
from sottovoce.sensitivity.importance import gumbel_softmax
from sottovoce.speech.corpus import Corpus
from sottovoce.training.batch import Batch, TrainingSpeech
from sottovoce.training.loop import Update, build_optimizer, make_update, random_state
from sottovoce.training.losses import kl_divergence
from sottovoce.training.teacher import CachedTeacher

DIALS: dict[str, Any] = {
    "steps": 8,
    "seconds_per_batch": 1.0,
    "learning_rate": 1e-3,
    "search_share": 0.3,
}
QUIET = Console(quiet=True)
MakeRecogniser = Callable[..., Recogniser]


class _Training:
    """A joint objective, its speech and its optimiser."""

    def __init__(
        self,
        recogniser: Recogniser,
        corpus: Corpus,
        recipe: Recipe,
        plan: Plan | None = None,
        teacher: CachedTeacher | None = None,
    ) -> None:
        self.speech = TrainingSpeech(corpus, recogniser)
        self.recipe = recipe
        self.objective = JointObjective(recogniser, recipe, Accelerator(cpu=True), teacher, plan)
        self.groups = self.objective.parameter_groups()
        self.optimizer = build_optimizer(self.groups)

    @property
    def batch(self) -> Batch:
        return next(self.speech.batches(self.recipe, 0))

    def update(self, first: int, last: int, total: int = 8) -> list[dict[str, Any]]:
        """Updates first .. last-1 of `total`."""
        batches = islice(self.speech.batches(self.recipe, first), last - first)
        return [
            make_update(
                self.objective,
                self.groups,
                self.optimizer,
                batch,
                Update(index, total),
                self.recipe,
            )
            for index, batch in enumerate(batches, first)
        ]

    def run(self) -> list[dict[str, Any]]:
        return self.update(0, 8)

    def parameters(self) -> dict[str, torch.Tensor]:
        return {name: one.clone() for name, one in self.objective.state().tensors.items()}


MakeTraining = Callable[..., _Training]


@pytest.fixture
def training(make_recogniser: MakeRecogniser, corpus: Corpus) -> MakeTraining:
    """A training of a tiny recogniser: options of the recipe, a plan, a teacher."""

    def make(
        plan: Plan | None = None, cached: CachedTeacher | None = None, **options: Any
    ) -> _Training:
        recipe = Recipe(**{**DIALS, "teacher": "none", **options})
        return _Training(make_recogniser(), corpus, recipe, plan, cached)

    return make


@pytest.mark.parametrize("bits", [2.0, 2.6, 3.4, 4.0, 5.3, 8.0])
def test_the_plan_stays_within_the_target_and_near_it(training: MakeTraining, bits: float) -> None:
    run = training(bits=bits)
    told = run.run()
    plan = run.objective.hard_plan()
    size = plan.nominal_bits(run.objective.supernet.shapes)
    assert size <= bits + 1e-9
    assert size > bits - 0.35  # a matrix is a twelfth of this model, not a hundredth
    assert told[-1]["hard_bits"] == pytest.approx(size)
    assert list(plan) == list(run.objective.supernet.layers)
    for precision in plan.values():
        assert precision.grid == ("half" if precision.bits == 2 else "symmetric")


def test_the_budget_falls_to_its_target_and_stays(training: MakeTraining) -> None:
    run = training(bits=3.0, search_share=1.0, budget_ramp=0.5)
    expected = [told["expected_bits"] for told in run.run()]
    assert expected[0] > 5.5
    assert all(later <= earlier + 1e-5 for earlier, later in pairwise(expected))
    assert expected[3] > 3.1
    assert expected[4:] == pytest.approx([3.0] * 4, abs=1e-4)


def test_search_and_hard_phase_tell_what_they_do(training: MakeTraining) -> None:
    told = training(bits=4.0, search_share=0.5, temperature_end=0.05).run()
    assert ["temperature" in one for one in told] == [True] * 4 + [False] * 4
    temperatures = [one["temperature"] for one in told[:4]]
    assert temperatures[0] == 1.0
    assert temperatures[3] == pytest.approx(0.05**0.75)
    assert all(np.isfinite(one["loss"]) for one in told)


def test_the_schedule_begins_when_the_plan_is_frozen(training: MakeTraining) -> None:
    run = training(search_share=0.25, search_pace=0.2, warmup=0.5)
    paces = [run.objective.lr_schedule(Update(index, 8)) for index in range(8)]
    assert [one.lr_scale for one in paces[:2]] == [0.2, 0.2]
    assert [one.lr_scale for one in paces[2:]] == pytest.approx([1 / 3, 2 / 3, 1, 1, 2 / 3, 1 / 3])
    assert [one.reset_optimizer for one in paces] == [False, False, True] + [False] * 5
    whole = training(search_share=1.0, search_pace=0.2, warmup=0.5)
    given = training(plan=run.objective.hard_plan(), search_pace=0.2, warmup=0.5)
    for other in (whole, given):
        paces = [other.objective.lr_schedule(Update(index, 8)) for index in range(8)]
        assert [one.lr_scale for one in paces[:4]] == pytest.approx([0.25, 0.5, 0.75, 1])
        assert not any(one.reset_optimizer for one in paces)


def test_the_hard_phase_trains_the_plan_alone(training: MakeTraining) -> None:
    run = training(bits=3.5)
    run.update(0, 5)
    plan, before = run.objective.plan, run.parameters()
    assert plan is not None
    run.objective.importance.log_alpha.data.neg_()  # would choose otherwise now
    before["importance.log_alpha"] = run.objective.importance.log_alpha.clone()
    run.update(5, 8)
    after = run.parameters()
    assert run.objective.hard_plan() == plan
    assert torch.equal(after["importance.log_alpha"], before["importance.log_alpha"])
    for index, bits in enumerate(run.recipe.widths):
        chosen = [name for name, one in plan.items() if one.bits == bits]
        for name in chosen:
            key = f"model.{name}.scales.{index}.log_scale"
            assert not torch.equal(after[key], before[key])
            assert not torch.equal(after[f"model.{name}.latent"], before[f"model.{name}.latent"])


def test_a_given_plan_is_trained_from_the_first_update(training: MakeTraining) -> None:
    names = training().objective.supernet.layers
    widths = [2, 4, 8, 4, 2, 2] * 2
    plan = Plan(
        {
            name: Precision(bits, "half" if bits == 2 else "symmetric")
            for name, bits in zip(names, widths, strict=True)
        }
    )
    run = training(plan=plan)
    told = run.run()
    assert run.objective.hard_plan() == plan
    assert all(one["hard_bits"] == plan.nominal_bits(run.objective.supernet.shapes) for one in told)
    assert not any("temperature" in one for one in told)


@pytest.mark.parametrize("bits", [2, 6])
def test_a_single_candidate_is_uniform_quantization(training: MakeTraining, bits: int) -> None:
    run = training(candidates=(bits,), bits=float(bits))
    told = run.run()
    assert {one.bits for one in run.objective.hard_plan().values()} == {bits}
    assert all(one["hard_bits"] == bits and "temperature" not in one for one in told)
    assert run.objective.expected_bits() is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"wav2vec2.encoder.layers.0.attention.q_proj": Precision(6)},
            r"q_proj. 6/symm.*none of.* 4/symm",
        ),
        ({"wav2vec2.encoder.layers.1.attention.q_proj": Precision(4, "full")}, "4/full/channel"),
        ({"hubert.encoder.layers.0.attention.q_proj": Precision(4)}, "another model.*hubert"),
    ],
)
def test_a_plan_that_does_not_suit_is_refused(
    training: MakeTraining, changes: dict[str, Precision], message: str
) -> None:
    plan = dict.fromkeys(training().objective.supernet.layers, Precision(4))
    with pytest.raises(InputError, match=message):
        training(plan=Plan(plan | changes))


def _networks_run(
    run: _Training, updates: int, monkeypatch: pytest.MonkeyPatch
) -> list[list[object]]:
    """The networks of each update, in order."""
    ran = recorded_networks(monkeypatch)
    found = []
    for index in range(updates):
        run.update(index, index + 1, total=updates)
        found.append(ran.copy())
        ran.clear()
    return found


def test_networks_are_those_that_the_recipe_gives_weight(
    training: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = training(teacher="live", students="all")
    expected = [[FULL, MIXED, 2, 4, 8], [FULL, PLAN, 2, 4, 8]]
    assert _networks_run(run, 2, monkeypatch) == expected
    run = training(teacher="live", students="all", student_ctc=((4, 1.0),), student_kl=((8, 1.0),))
    assert _networks_run(run, 2, monkeypatch) == [[FULL, MIXED, 4, 8], [FULL, PLAN, 4, 8]]
    assert _networks_run(training(), 2, monkeypatch) == [[MIXED], [PLAN]]


def test_sampled_students_are_all_drawn(
    training: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = training(teacher="live", students="sampled", search_share=0.5, kl_frozen=1.0)
    networks = _networks_run(run, 24, monkeypatch)
    assert [one[:2] for one in networks] == [[FULL, MIXED]] * 12 + [[FULL, PLAN]] * 12
    drawn = [one[2] for one in networks]
    assert all(len(one) == 3 for one in networks)
    assert all(drawn.count(bits) >= 4 for bits in (2, 4, 8))


def test_with_a_single_candidate_no_network_runs_twice(
    training: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"teacher": "live", "students": "all", "kl_frozen": 1.0}
    run = training(candidates=(4,), bits=4.0, **options)
    assert _networks_run(run, 2, monkeypatch) == [[FULL, PLAN], [FULL, PLAN]]


def test_a_teacher_that_nothing_learns_from_does_not_run(
    training: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = training(teacher="live")
    assert _networks_run(run, 2, monkeypatch) == [[FULL, MIXED], [PLAN]]


def test_the_loss_is_the_papers_sum(make_recogniser: MakeRecogniser, corpus: Corpus) -> None:
    options = {
        "teacher": "live",
        "students": "all",
        "search_share": 0.01,
        "kl_frozen": 0.7,
        "kl_students": 0.3,
        "student_ctc": ((4, 0.5), (8, 2.0)),
        "student_kl": ((2, 1.5), (4, 0.25)),
    }
    recipe = Recipe(**{**DIALS, **options})
    # With transformers' small start all networks would agree, and their divergence be nothing.
    run = _Training(make_recogniser(initializer_range=0.4), corpus, recipe)
    objective, batch, update = run.objective, run.batch, Update(3, 8)
    features = objective.recogniser.features(batch.waveforms)
    step = objective.supernet.quantize((2, 4, 8), plan=objective.hard_plan())
    logits, ctc = {}, {}
    for network in (FULL, PLAN, 2, 4, 8):
        set_seed(random_state(run.recipe.seed, update))
        with torch.no_grad(), step.running(network):
            logits[network] = objective.recogniser.logits(features)
        ctc[network] = ctc_loss(logits[network], features.frames, batch.targets, 0)
    kl = {
        network: kl_divergence(logits[FULL], one, features.frame_mask)
        for network, one in logits.items()
    }
    expected = (
        ctc[FULL]
        + (ctc[PLAN] + 0.7 * kl[PLAN])
        + (0.5 * ctc[4] + 2.0 * ctc[8])
        + 0.3 * (1.5 * kl[2] + 0.25 * kl[4])
    )
    assert min(kl[network].item() for network in (PLAN, 2, 4)) > 1e-3 * expected.item()
    assert objective.update(batch, update)["loss"] == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("search_share", "weight", "other"),
    [(1.0, "kl_mixed", "kl_frozen"), (0.01, "kl_frozen", "kl_mixed")],
)
def test_the_cached_teacher_is_what_the_network_is_held_to(
    training: MakeTraining, tmp_path: Path, search_share: float, weight: str, other: str
) -> None:
    losses = []
    for kl in (0.0, 1.0, 2.0):
        run = training()  # its model is the start point
        cached = CachedTeacher.computed(
            run.objective.recogniser, run.speech, 1.0, tmp_path / str(kl), QUIET
        )
        options = {"search_share": search_share, weight: kl, other: 0.5}
        run = training(teacher="cached", cached=cached, **options)
        losses.append(run.objective.update(run.batch, Update(3, 8))["loss"])
    without, once, twice = losses
    assert once - without > 1e-4
    assert twice - once == pytest.approx(once - without, rel=1e-4)


@pytest.mark.parametrize("search_share", [1.0, 0.01])
def test_without_transcripts_only_the_teacher_pulls(
    training: MakeTraining, tmp_path: Path, search_share: float
) -> None:
    run = training()
    recogniser, speech = run.objective.recogniser, run.speech
    cached = CachedTeacher.computed(recogniser, speech, 1.0, tmp_path / "teacher", QUIET)
    options = {"teacher": "cached", "unlabelled": True, "search_share": search_share}
    run = training(cached=cached, **options)
    loss = run.objective.update(run.batch, Update(3, 8))["loss"]
    unlabelled = replace(run.batch, targets=tuple(() for _ in run.batch.targets))
    run = training(cached=cached, **options)
    assert run.objective.update(unlabelled, Update(3, 8))["loss"] == loss > 0
    pulled = training(cached=cached, **options | {"unlabelled": False, "kl_frozen": 1.0})
    assert loss < pulled.objective.update(pulled.batch, Update(3, 8))["loss"]


def test_without_transcripts_a_teacher_that_drifts_is_refused() -> None:
    with pytest.raises(InputError, match="learns from a frozen teacher"):
        Recipe(teacher="live", unlabelled=True).refuse_without_transcripts()


def test_a_larger_eta_leaves_fewer_bits(training: MakeTraining) -> None:
    sizes = []
    for eta in (0.0, 0.02, 10.0):
        run = training(bits=None, eta=eta, search_share=1.0, importance_learning_rate=0.3)
        sizes.append(run.run()[-1]["expected_bits"])
        widths = [one.bits for one in run.objective.hard_plan().values()]
        probabilities = run.objective.importance.log_probabilities(None)
        assert widths == [(2, 4, 8)[index] for index in probabilities.argmax(1)]
    assert sizes[0] > sizes[1] > sizes[2]
    assert sizes[2] < 4


def test_a_fused_training_compiles_its_quantizers(
    training: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []

    def arithmetic_alone(arithmetic: Callable[..., Any], *given: Any) -> Any:
        compiled.append(arithmetic.__name__)
        return arithmetic(*given)

    monkeypatch.setattr(fake, "_in_one_pass", arithmetic_alone)
    plain, fused = training(), training(fused=True)
    plain.run()
    assert not compiled
    fused.run()
    assert {"_values", "_gradients"} == set(compiled)
    expected = plain.parameters()
    for name, one in fused.parameters().items():
        torch.testing.assert_close(one, expected[name])


@pytest.mark.parametrize(("granularity", "shared"), [("module", (4, 2, 4, 2)), ("block", (6, 6))])
def test_a_group_shares_its_width(
    training: MakeTraining, granularity: str, shared: tuple[int, ...]
) -> None:
    run = training(bits=5.0, search_granularity=granularity)
    assert run.objective.importance.log_alpha.shape == (len(shared), 3)
    run.run()
    widths = iter(one.bits for one in run.objective.hard_plan().values())
    for count in shared:
        assert len(set(islice(widths, count))) == 1


def test_deployed_leaves_training_as_it_was(training: MakeTraining) -> None:
    run = training()
    run.update(0, 1)
    before = run.parameters()
    layers = run.objective.supernet.layers
    plan = run.objective.hard_plan()
    with run.objective.deployed() as recogniser:
        assert not recogniser.model.training
        for name, layer in layers.items():
            precision = plan[name]
            affine = layer.affine_of(precision.bits)
            stored = fake_quantize(layer.latent, affine, precision.quantizer)
            assert torch.equal(layer.weight, stored)
    assert run.objective.recogniser.model.training
    assert all(layer.weight is layer.latent for layer in layers.values())
    assert all(torch.equal(one, before[name]) for name, one in run.parameters().items())


def test_layers_that_layerdrop_skips_do_not_stop_training(
    make_recogniser: MakeRecogniser, corpus: Corpus
) -> None:
    recipe = Recipe(**DIALS, teacher="none")
    told = _Training(make_recogniser(layerdrop=1.0), corpus, recipe).run()
    assert all(np.isfinite(one["loss"]) for one in told)


def test_the_front_end_gets_the_gradients_of_all_networks(training: MakeTraining) -> None:
    found = []
    for teacher in ("none", "live"):
        tiny_pull = {"kl_frozen": 1e-12} if teacher == "live" else {}
        run = training(train_front_end=True, search_share=0.01, teacher=teacher, **tiny_pull)
        run.objective.update(run.batch, Update(3, 8))
        front_end = run.objective.recogniser.model.wav2vec2.feature_extractor
        found.append(torch.cat([one.grad.flatten() for one in front_end.parameters()]))
    quantized, both = found
    run = training(train_front_end=True)
    recogniser = run.objective.recogniser
    features = recogniser.features(run.batch.waveforms)
    set_seed(random_state(run.recipe.seed, Update(3, 8)))
    ctc_loss(recogniser.logits(features), features.frames, run.batch.targets, 0).backward()
    front_end = recogniser.model.wav2vec2.feature_extractor
    full = torch.cat([one.grad.flatten() for one in front_end.parameters()])
    torch.testing.assert_close(both, quantized + full, rtol=1e-3, atol=1e-7)
    assert bool(full.any())


def test_layers_are_not_dropped_by_the_numbers_that_pick_their_widths() -> None:
    """LayerDrop takes its numbers from the start of the update's stream."""
    update = Update(0, 8)
    noise = uniform_noise(0, update, (12, 3))
    assert torch.equal(noise, uniform_noise(0, update, (12, 3)))
    set_seed(random_state(0, update))
    assert not torch.isin(torch.rand(36), noise.flatten()).any()
    assert not torch.isin(uniform_noise(0, Update(1, 8), (12, 3)), noise).any()


@pytest.mark.parametrize("index", [0, 4, 7])
def test_the_mixture_is_sampled_at_the_temperature_of_the_update(
    make_recogniser: MakeRecogniser, corpus: Corpus, index: int
) -> None:
    size = {"bits": None, "eta": 0.0, "search_share": 1.0}
    temperatures = {"temperature_start": 3.0, "temperature_end": 0.01}
    recipe = Recipe(**{**DIALS, **size, **temperatures, "teacher": "none"})
    run = _Training(make_recogniser(initializer_range=0.4), corpus, recipe)
    objective, batch, update = run.objective, run.batch, Update(index, 8)
    noise = uniform_noise(recipe.seed, update, objective.importance.log_alpha.shape)
    log_probabilities = objective.importance.log_alpha.detach().log_softmax(1)

    def loss_at(temperature: float) -> float:
        """Of the mixed network, put together by hand."""
        shares = gumbel_softmax(log_probabilities, temperature, noise)
        mixtures = dict(zip(objective.supernet.layers, shares, strict=True))
        features = objective.recogniser.features(batch.waveforms)
        set_seed(random_state(recipe.seed, update))
        with torch.no_grad(), objective.supernet.quantize((), mixtures).running(MIXED):
            logits = objective.recogniser.logits(features)
        return ctc_loss(logits, features.frames, batch.targets, 0).item()

    expected = loss_at(3.0 * (0.01 / 3.0) ** (index / 8))
    assert objective.update(batch, update)["loss"] == pytest.approx(expected, rel=1e-5)
    assert loss_at(1.0) != pytest.approx(expected, rel=1e-3)


def test_importances_wait_for_no_schedule_and_are_not_clipped(training: MakeTraining) -> None:
    options = {
        "search_pace": 0.0,
        "search_share": 0.9,
        "importance_learning_rate": 0.3,
        "importance_gradient": "sampled",  # large beside Adam's epsilon
    }
    found = []
    for norm in (1e-4, 1e4):
        run = training(**options, max_grad_norm=norm)
        run.update(0, 1)
        importance, state = run.objective.importance, run.optimizer.state
        # The first step of Adam is the learning rate itself.
        moved = importance.learnt.abs().max().item()
        assert moved == pytest.approx(0.3, rel=1e-2)
        scheduled = [p for group in run.groups if group.scheduled for p in group.parameters]
        moments = [state[p]["exp_avg"].flatten() for p in scheduled if p in state]
        found.append((state[importance.log_alpha]["exp_avg"], torch.cat(moments).norm().item()))
    (of_importances, clipped), (also_of_importances, whole) = found
    assert torch.equal(of_importances, also_of_importances)
    assert clipped == pytest.approx(0.1 * 1e-4, rel=1e-3)
    assert whole > 100 * clipped


def test_the_plan_is_of_what_was_learnt_and_not_of_where_it_began(training: MakeTraining) -> None:
    """Two large matrices gain more than three small ones, whose starts would count three times."""
    run = training(candidates=(2, 8), bits=2 + 6 * 3072 / 14336)
    names = list(run.objective.supernet.layers)
    sizes = [rows * columns for rows, columns in run.objective.supernet.shapes.values()]
    large = [index for index, size in enumerate(sizes) if size == 1536][:2]
    small = [index for index, size in enumerate(sizes) if size == 1024][:3]
    with torch.no_grad():
        run.objective.importance.log_alpha[large, 1] += 1.6
        run.objective.importance.log_alpha[small, 1] += 1.0
    wide = {name for name, one in run.objective.hard_plan().items() if one.bits == 8}
    assert wide == {names[index] for index in large}


def test_the_cached_teacher_teaches_frame_by_frame(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    """Each frame is held to the start point's outputs for it, in utterances of any length."""
    start = make_recogniser(initializer_range=0.4)
    cached = CachedTeacher.computed(start, TrainingSpeech(corpus, start), 1.0, tmp_path, QUIET)
    plan = Plan(dict.fromkeys(start.family.shapes(start.model), Precision(4)))
    recipe = Recipe(**{**DIALS, "seconds_per_batch": 4.0, "kl_frozen": 2.0})
    run = _Training(make_recogniser(initializer_range=0.4), corpus, recipe, plan, cached)
    objective, batch, update = run.objective, run.batch, Update(3, 8)
    features = start.features(batch.waveforms)
    assert len(set(features.frames.tolist())) > 1
    with torch.no_grad():
        with start.evaluating():
            taught = start.logits(features)
        set_seed(random_state(recipe.seed, update))
        with objective.supernet.quantize(plan=plan).running(PLAN):
            logits = objective.recogniser.logits(features)
    ctc = ctc_loss(logits, features.frames, batch.targets, 0).item()
    kl, late = (
        kl_divergence(one, logits, features.frame_mask).item()
        for one in (taught, taught.roll(1, 1))
    )
    tolerance = 2e-3
    assert abs(late - kl) > 5 * tolerance * kl
    loss = objective.update(batch, update)["loss"]
    assert (loss - ctc) / 2 == pytest.approx(kl, rel=tolerance)
