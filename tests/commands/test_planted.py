"""Every way to a plan gives the bits to the layers that need them, from speech to plan."""

from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator
from planted import (
    EIGHT_BITS,
    SENSITIVE,
    TWO_BITS,
    planted_bits,
    planted_recogniser,
    planted_speech,
)
from rich.console import Console

from sottovoce.commands.stages import Context, Stages
from sottovoce.commands.two_stage import sensitive_plan
from sottovoce.config.recipe import Recipe
from sottovoce.models.recogniser import Recogniser
from sottovoce.ptq.calibration import CalibrationSpeech
from sottovoce.ptq.effort import Job
from sottovoce.ptq.layers import quantizable_layers
from sottovoce.ptq.mixed import mixed_weights
from sottovoce.search.joint import JointObjective
from sottovoce.speech.corpus import Corpus
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.loop import train
from sottovoce.training.state import WorkFolder

QUIET = Console(quiet=True)


@pytest.fixture
def recogniser(tmp_path: Path) -> Recogniser:
    return planted_recogniser(tmp_path)


@pytest.fixture
def speech(recogniser: Recogniser, tmp_path: Path) -> Corpus:
    return planted_speech(recogniser, tmp_path / "speech")


def _recipe(recogniser: Recogniser, **options: Any) -> Recipe:
    """Weights hardly move, so that what was planted stays."""
    return Recipe(
        candidates=(2, 8),
        bits=planted_bits(recogniser),
        teacher="none",
        seconds_per_batch=4.0,
        learning_rate=1e-6,
        scale_learning_rate=0.0,
        evaluations=0,
        **options,
    )


def _need_most(widths: dict[str, float]) -> set[str]:
    assert set(widths.values()) == {2, 8}
    return {layer for layer, bits in widths.items() if bits == 8}


@pytest.mark.parametrize("gradient", ["expected", "sampled"])
def test_joint_learning_finds_the_layers_that_need_bits(
    recogniser: Recogniser, speech: Corpus, tmp_path: Path, gradient: str
) -> None:
    recipe = _recipe(
        recogniser,
        importance_gradient=gradient,
        importance_learning_rate=0.2,
        search_share=0.8,
        steps=15,
    )
    objective = JointObjective(recogniser, recipe, Accelerator(cpu=True))
    training = TrainingSpeech(speech, recogniser)
    train(objective, training, recipe, WorkFolder(tmp_path), lambda _: 0.0, QUIET)
    widths = {layer: one.bits for layer, one in objective.hard_plan().items()}
    assert _need_most(widths) == set(SENSITIVE)


@pytest.mark.parametrize("measure", ["kl", "hessian", "nas"])
def test_two_stages_find_the_layers_that_need_bits(
    recogniser: Recogniser, speech: Corpus, tmp_path: Path, measure: str
) -> None:
    recipe = _recipe(recogniser, plan_by=measure, sensitivity_batches=2, steps=2)
    context = Context(
        speech=TrainingSpeech(speech, recogniser),
        evaluation=speech,
        accelerator=Accelerator(cpu=True),
        teacher=None,
        stages=Stages({}, "", None, WorkFolder(tmp_path)),
        console=QUIET,
    )
    plan, _ = sensitive_plan(recogniser, recipe, context)
    assert _need_most({layer: one.bits for layer, one in plan.items()}) == set(SENSITIVE)


def test_post_training_finds_the_layers_that_need_bits(
    recogniser: Recogniser, speech: Corpus
) -> None:
    bits, candidates = planted_bits(recogniser), {2: TWO_BITS, 8: EIGHT_BITS}
    calibration = CalibrationSpeech(recogniser, speech)
    layers, job = quantizable_layers(recogniser), Job(QUIET, {})
    found = mixed_weights(recogniser, layers, calibration, candidates, bits, job)
    widths = {layer: precision.bits for layer, (precision, _) in found.items()}
    assert _need_most(widths) == set(SENSITIVE)
