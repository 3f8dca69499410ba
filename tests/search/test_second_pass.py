"""Pass 2 against the Pass 1 that it follows."""

from collections.abc import Callable

import pytest
import torch
from accelerate import Accelerator
from networks import recorded_networks
from tiny import noise

from sottovoce.config.recipe import Recipe
from sottovoce.errors import InputError
from sottovoce.models.recogniser import Recogniser
from sottovoce.search.joint import JointObjective
from sottovoce.search.second_pass import second_pass
from sottovoce.search.supernet import FULL, PLAN
from sottovoce.speech.corpus import Corpus
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.loop import Update

MakeRecogniser = Callable[..., Recogniser]
WIDTHS = (2, 4, 8, 4, 2, 2) * 2


def _pass_1(recogniser: Recogniser, **options: object) -> JointObjective:
    """Pass 1 whose weights and scales have moved."""
    recipe = Recipe().replaced({"teacher": "live", "students": "all", **options})
    objective = JointObjective(recogniser, recipe, Accelerator(cpu=True))
    objective.plan = objective.supernet.plan(WIDTHS)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in recogniser.model.parameters():
            moved = 0.02 * torch.randn(parameter.shape, generator=generator)
            parameter.add_(moved)
    return objective


def _deployed_logits(objective: JointObjective) -> torch.Tensor:
    with torch.inference_mode(), objective.deployed() as recogniser:
        return recogniser.logits(recogniser.features([noise(0.3)]))


def test_it_goes_on_from_what_was_learnt(make_recogniser: MakeRecogniser) -> None:
    first = _pass_1(make_recogniser(), finetune="learnt")
    expected, plan = _deployed_logits(first), first.hard_plan()
    second = second_pass(first, None)
    assert second.hard_plan() == plan
    assert torch.equal(_deployed_logits(second), expected)


def test_it_begins_again_from_the_start_point(make_recogniser: MakeRecogniser) -> None:
    start = make_recogniser()
    before = {name: one.clone() for name, one in start.model.state_dict().items()}
    first = _pass_1(make_recogniser(), finetune="start")
    learnt, plan = _deployed_logits(first), first.hard_plan()
    second = second_pass(first, start)
    assert second.hard_plan() == plan
    assert not torch.equal(_deployed_logits(second), learnt)
    second.supernet.dismantle()
    after = second.recogniser.model.state_dict()
    assert all(torch.equal(one, after[name]) for name, one in before.items())


@pytest.mark.parametrize(("kl", "networks"), [(0.0, [PLAN]), (0.7, [FULL, PLAN])])
def test_only_the_plans_network_trains_and_the_pull_has_its_own_weight(
    make_recogniser: MakeRecogniser,
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
    kl: float,
    networks: list[str],
) -> None:
    second = second_pass(
        _pass_1(make_recogniser(), finetune="learnt", kl_finetune=kl, kl_frozen=0.3), None
    )
    assert second.recipe.kl_frozen == kl
    batch = next(TrainingSpeech(corpus, second.recogniser).batches(second.recipe, 0))
    ran = recorded_networks(monkeypatch)
    second.update(batch, Update(0, 4))
    assert ran == networks


def test_a_pull_without_a_teacher_is_refused() -> None:
    with pytest.raises(InputError, match="kl_finetune needs a teacher"):
        Recipe(teacher="none", kl_finetune=0.5)
