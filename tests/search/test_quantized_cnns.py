"""What is no encoder matrix, quantized beside them."""

from collections.abc import Callable

import pytest
import torch
from accelerate import Accelerator
from tiny import noise

from sottovoce.config.recipe import Recipe, read_recipe
from sottovoce.models.recogniser import Recogniser
from sottovoce.quantization.plan import Precision
from sottovoce.quantization.ranges import initial_affine
from sottovoce.search.joint import JointObjective
from sottovoce.search.second_pass import second_pass
from sottovoce.speech.corpus import Corpus
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.loop import Update, build_optimizer, make_update

MakeRecogniser = Callable[..., Recogniser]
FRONT_END = {
    "wav2vec2.feature_extractor.conv_layers.0.conv",
    "wav2vec2.feature_extractor.conv_layers.1.conv",
}
TRAINED = {
    "wav2vec2.feature_projection.projection",
    "wav2vec2.encoder.pos_conv_embed.conv",
    "lm_head",
}


def _objective(recogniser: Recogniser, **options: object) -> JointObjective:
    recipe = Recipe().replaced({"teacher": "none", "cnn_bits": 8, **options})
    return JointObjective(recogniser, recipe, Accelerator(cpu=True))


def _weights(objective: JointObjective) -> dict[str, torch.Tensor]:
    """As the networks have them."""
    assert objective.cnns is not None
    model = objective.recogniser.model
    return {name: model.get_submodule(name).weight.detach().clone() for name in objective.cnns.plan}


def test_everything_outside_the_encoder_layers_is_on_the_grid(
    make_recogniser: MakeRecogniser,
) -> None:
    objective = _objective(make_recogniser(), cnn_bits=4)
    weights, plan = _weights(objective), objective.whole_plan()
    assert weights.keys() == FRONT_END | TRAINED
    assert plan.keys() == weights.keys() | objective.supernet.layers.keys()
    for name, weight in weights.items():
        assert plan[name] == Precision(4)
        matrix, affine = weight.flatten(1), objective.affine_of(name)
        rounded = Precision(4).quantizer.rounded(matrix, affine)
        assert torch.equal(matrix, rounded)
        assert matrix.unique().numel() > 2


@pytest.mark.parametrize("train_front_end", [False, True])
def test_they_train_but_for_a_frozen_front_end(
    make_recogniser: MakeRecogniser, corpus: Corpus, train_front_end: bool
) -> None:
    objective = _objective(
        make_recogniser(), learning_rate=0.01, scale_learning_rate=0.05, seconds_per_batch=1.0,
        train_front_end=train_front_end, teacher="live", students="all", search_share=1.0,
    )  # fmt: skip
    recipe = objective.recipe
    speech = TrainingSpeech(corpus, objective.recogniser)
    groups = objective.parameter_groups()
    optimizer = build_optimizer(groups)
    weights = _weights(objective)
    scales = {name: objective.affine_of(name).scale.clone() for name in weights}
    for index, batch in zip(range(3), speech.batches(recipe, 0), strict=False):
        make_update(objective, groups, optimizer, batch, Update(index, 3), recipe)
    moved = FRONT_END | TRAINED if train_front_end else TRAINED
    after = _weights(objective)
    assert {name for name in after if not torch.equal(after[name], weights[name])} == moved
    assert {
        n for n, one in scales.items() if not torch.equal(one, objective.affine_of(n).scale)
    } == moved


def test_a_front_end_without_gradients_is_quantized_too(make_recogniser: MakeRecogniser) -> None:
    recogniser = make_recogniser()
    before = recogniser.features([noise(0.3)]).values
    after = _objective(recogniser, cnn_bits=3).recogniser.features([noise(0.3)]).values
    assert not torch.equal(before, after)


def test_ordinary_layers_are_left_behind(make_recogniser: MakeRecogniser) -> None:
    start, objective = make_recogniser().model, _objective(make_recogniser())
    objective.dismantle()
    model = objective.recogniser.model
    for name in FRONT_END | TRAINED:
        layer, before = model.get_submodule(name), start.get_submodule(name)
        assert isinstance(layer.weight, torch.nn.Parameter)
        torch.testing.assert_close(layer.weight, before.weight)  # a weight norm was folded
    assert not any("parametrizations" in name for name in model.state_dict())


@pytest.mark.parametrize("begins", ["start", "learnt"])
def test_pass_2_goes_on_with_their_scales_or_begins_again(
    make_recogniser: MakeRecogniser, begins: str
) -> None:
    first = _objective(make_recogniser(), finetune=begins)
    with torch.no_grad():
        for each in first.affines().values():
            for one in each:
                one.log_scale.add_(0.3)
    names = first.whole_plan()
    learnt = {name: first.affine_of(name).scale.clone() for name in names}
    start = make_recogniser() if begins == "start" else None
    second = second_pass(first, start)
    assert second.whole_plan() == names
    for name, scale in learnt.items():
        assert torch.equal(second.affine_of(name).scale, scale) == (begins == "learnt")


def test_eight_bits_are_eight_bits_under_every_recipe(make_recogniser: MakeRecogniser) -> None:
    """A frozen front end never learns its scales: where they start is where they stay."""
    for recipe in ("default", "paper"):
        start = make_recogniser().model
        plain = {"teacher": "none", "students": "none", "kl_frozen": 0.0}
        tensor = {"cnn_bits": 8, "scale_granularity": "tensor"}
        options = read_recipe(recipe).replaced({**plain, **tensor})
        objective = JointObjective(make_recogniser(), options, Accelerator(cpu=True))
        for name, weight in _weights(objective).items():
            before = start.get_submodule(name).weight.detach()
            noise_share = (weight - before).square().sum() / before.square().sum()
            assert -10 * noise_share.log10() > 35, (recipe, name)  # 6 dB a bit


def test_scales_from_weights_are_those_of_the_weights_that_trained(
    make_recogniser: MakeRecogniser, corpus: Corpus
) -> None:
    objective = _objective(
        make_recogniser(), scales="from-weights", initial_range="l1", learning_rate=0.01,
        train_front_end=True, seconds_per_batch=1.0, search_share=0.4, search_pace=1.0,
    )  # fmt: skip
    recipe, names = objective.recipe, list(objective.whole_plan())
    before = {name: objective.affine_of(name).scale for name in names}
    speech = TrainingSpeech(corpus, objective.recogniser)
    groups = objective.parameter_groups()
    optimizer = build_optimizer(groups)
    for index, batch in zip(range(3), speech.batches(recipe, 0), strict=False):
        make_update(objective, groups, optimizer, batch, Update(index, 3), recipe)
    with objective.deployed() as deployed:
        served = {name: _served(deployed.model.get_submodule(name)) for name in names}
    found = {name: objective.affine_of(name) for name in names}
    plan = objective.whole_plan()
    objective.dismantle()
    for name in names:
        weight = objective.recogniser.model.get_submodule(name).weight.detach().flatten(1)
        rule = "max" if name in FRONT_END | TRAINED else "l1"
        expected = initial_affine(weight, plan[name].quantizer, rule)
        assert torch.equal(found[name].scale, expected.scale)
        assert not torch.equal(found[name].scale, before[name])
        assert torch.equal(served[name], plan[name].quantizer.rounded(weight, expected))


def _served(layer: torch.nn.Module) -> torch.Tensor:
    return layer.weight.detach().flatten(1).clone()
