"""An interrupted and resumed run ends as the run that was not interrupted."""

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from rich.console import Console
from torch import Tensor

from sottovoce.config.recipe import Recipe, Training
from sottovoce.errors import InputError, Interrupted
from sottovoce.models.recogniser import Recogniser
from sottovoce.quantization.plan import Plan
from sottovoce.record import TrainingPoint
from sottovoce.search.joint import JointObjective
from sottovoce.speech.corpus import Corpus
from sottovoce.training.batch import Batch, TrainingSpeech
from sottovoce.training.full_precision import FullPrecision
from sottovoce.training.loop import (
    Update,
    history_from_tensor,
    history_tensor,
    restore_module,
    train,
)
from sottovoce.training.run import Run
from sottovoce.training.state import Saved, WorkFolder
from sottovoce.training.teacher import CachedTeacher

CONSOLE = Console(quiet=True)
UPDATES = 6
DIALS: dict[str, Any] = {
    "steps": UPDATES,
    "seconds_per_batch": 1.0,  # two or three of the corpus's utterances: an epoch ends midway
    "learning_rate": 1e-2,
    "evaluations": 2,
    "seed": 5,
}
MakeRecogniser = Callable[..., Recogniser]
AnyObjective = FullPrecision | JointObjective
RECIPES = {
    "full precision": Training(**DIALS),
    "augmented": Training(**DIALS, augment=True, train_front_end=True),
    "joint": Recipe(**DIALS, teacher="none", search_share=0.6),
    "live teacher, all students": Recipe(**DIALS, teacher="live", students="all", search_share=0.3),
    "cached teacher, sampled student": Recipe(
        **DIALS, teacher="cached", students="sampled", search_share=0.6, kl_frozen=0.5
    ),
    "eta, per tensor, no hard phase": Recipe(
        **DIALS,
        bits=None,
        eta=0.1,
        teacher="none",
        scale_granularity="tensor",
        search_granularity="block",
        search_share=1.0,
    ),
}


class _CtrlC:
    """An objective during one of whose updates Ctrl-C is pressed, or a signal like it sent."""

    def __init__(
        self, objective: AnyObjective, during: int, sent: signal.Signals = signal.SIGINT
    ) -> None:
        self.objective = objective
        self.during = during
        self.sent = sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self.objective, name)

    def update(self, batch: Batch, update: Update) -> dict[str, Any]:
        if update.index == self.during:
            signal.raise_signal(self.sent)
        return self.objective.update(batch, update)

    def deployed(self) -> AbstractContextManager[Recogniser]:
        return self.objective.deployed()


class _Run:
    """A fresh process's worth of objects for one recipe."""

    def __init__(
        self, make_recogniser: MakeRecogniser, corpus: Corpus, recipe: Training, out: Path
    ) -> None:
        recogniser = make_recogniser(hidden_dropout=0.2, layerdrop=0.1)
        self.speech = TrainingSpeech(corpus, recogniser)
        self.recipe, self.out = recipe, out
        accelerator = Accelerator(cpu=True)
        self.objective: AnyObjective
        if isinstance(recipe, Recipe):
            teacher = None
            if recipe.teacher == "cached":
                folder = out.with_name("teacher")
                teacher = CachedTeacher.computed(recogniser, self.speech, 1.0, folder, CONSOLE)
            self.objective = JointObjective(recogniser, recipe, accelerator, teacher)
        else:
            self.objective = FullPrecision(recogniser, recipe, accelerator)

    def train(
        self,
        interrupted_during: int | None = None,
        resume: bool = False,
        sent: signal.Signals = signal.SIGINT,
    ) -> tuple[TrainingPoint, ...]:
        objective = self.objective
        if interrupted_during is not None:
            objective = _CtrlC(objective, interrupted_during, sent)  # type: ignore[assignment]
        settings = {"seed": self.recipe.seed}
        with Run.open(self.out, {}, settings, resume=resume, console=CONSOLE) as run:
            torch.seed()  # nothing may hang on what was drawn before
            np.random.seed()
            return train(objective, self.speech, self.recipe, run.work, self._evaluate, CONSOLE)

    def _evaluate(self, recogniser: Recogniser) -> float:
        texts = recogniser.recognise([self._waveform()])
        return len(texts[0] or "") / 100

    def _waveform(self) -> Any:
        return next(self.speech.batches(self.recipe, 0)).waveforms[0]

    @property
    def result(self) -> dict[str, Tensor]:
        return {name: one.clone() for name, one in self.objective.state().tensors.items()}

    @property
    def plan(self) -> Plan | None:
        return self.objective.hard_plan() if isinstance(self.objective, JointObjective) else None


@pytest.mark.parametrize("interrupted_during", [1, 3])
@pytest.mark.parametrize("name", RECIPES)
def test_a_resumed_run_ends_as_one_that_was_not_interrupted(
    make_recogniser: MakeRecogniser,
    corpus: Corpus,
    tmp_path: Path,
    name: str,
    interrupted_during: int,
) -> None:
    recipe = RECIPES[name]
    whole = _Run(make_recogniser, corpus, recipe, tmp_path / "whole")
    history = whole.train()
    assert len(history) == UPDATES
    assert [point.step for point in history if point.wer is not None] == [3, 6]

    first = _Run(make_recogniser, corpus, recipe, tmp_path / "broken")
    with pytest.raises(Interrupted, match=f"update {interrupted_during + 1} of {UPDATES}"):
        first.train(interrupted_during=interrupted_during)
    second = _Run(make_recogniser, corpus, recipe, tmp_path / "broken")
    resumed = second.train(resume=True)

    assert [replace(one, seconds=0, cpu_seconds=0) for one in resumed] == [
        replace(one, seconds=0, cpu_seconds=0) for one in history
    ]
    for times in ([one.seconds for one in resumed], [one.cpu_seconds for one in resumed]):
        assert times == sorted(times)
    assert second.plan == whole.plan
    expected = whole.result
    assert second.result.keys() == expected.keys()
    for key, tensor in second.result.items():
        assert torch.equal(tensor, expected[key]), key
    assert not all(torch.equal(one, expected[key]) for key, one in first.result.items())


def test_what_was_trained_has_moved(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    run = _Run(make_recogniser, corpus, RECIPES["joint"], tmp_path / "out")
    before = run.result
    run.train()
    moved = {key for key, one in run.result.items() if not torch.equal(one, before[key])}
    for part in ("latent", "log_scale", "log_alpha", "lm_head", "feature_projection"):
        assert any(part in key for key in moved), part
    assert not any("feature_extractor" in key for key in moved)


def test_another_seed_gives_another_run_and_any_seed_works(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    results = []
    for seed in (5, 5, 6, 123_456_789):
        recipe = replace(RECIPES["joint"], seed=seed, steps=2)
        run = _Run(make_recogniser, corpus, recipe, tmp_path / f"out-{len(results)}")
        run.train()
        results.append(run.result["model.lm_head.weight"])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert not torch.equal(results[0], results[3])


def test_a_finished_run_that_resumes_trains_no_more(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    recipe = RECIPES["full precision"]
    run = _Run(make_recogniser, corpus, recipe, tmp_path / "out")
    history = run.train()
    again = _Run(make_recogniser, corpus, recipe, tmp_path / "out")
    assert again.train(resume=True) == history
    assert all(torch.equal(one, run.result[key]) for key, one in again.result.items())


def test_a_history_is_kept_outside_the_header(tmp_path: Path) -> None:
    """A safetensors header holds 100 MB; half a million points as text are more."""
    point = TrainingPoint(1, 0.1, 1e-4, 2.5, wer=0.25)
    history = [point, *(replace(point, step=k, wer=None) for k in range(2, 1001))]
    work = WorkFolder(tmp_path)
    work.save(Saved({"history": history_tensor(history)}, {}))
    saved = work.load()
    assert saved is not None
    assert history_from_tensor(saved.tensors["history"]) == history
    assert history_from_tensor(history_tensor([])) == []


def test_weights_that_the_last_update_breaks_are_refused(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    recipe = RECIPES["full precision"].replaced({"steps": 1, "learning_rate": 1e39})
    run = _Run(make_recogniser, corpus, recipe, tmp_path / "out")
    with pytest.raises(
        InputError, match=r"left weights that are not finite; lower --learning-rate"
    ):
        run.train()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_signals_work_as_before_once_training_is_over(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path, sent: signal.Signals
) -> None:
    before = signal.getsignal(sent)
    run = _Run(make_recogniser, corpus, RECIPES["full precision"], tmp_path / "out")
    with pytest.raises(Interrupted):
        run.train(interrupted_during=0, sent=sent)
    assert signal.getsignal(sent) is before
    assert (tmp_path / "out.unfinished" / "state.safetensors").is_file()


def test_a_state_of_other_parameters_is_refused() -> None:
    kept = {"model.weight": torch.zeros(2, 2), "model.old_name": torch.zeros(2)}
    with pytest.raises(InputError, match="another version of sottovoce"):
        restore_module("model", torch.nn.Linear(2, 2), kept)
