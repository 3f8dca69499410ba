"""Processes that train one model together train the one that a single process would."""

import multiprocessing
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from tiny import tiny_corpus, tiny_recogniser
from torch.multiprocessing import start_processes

from sottovoce.config.recipe import Recipe, Training
from sottovoce.models.recogniser import Recogniser
from sottovoce.search.joint import JointObjective
from sottovoce.training.accelerator import accelerator_for
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.distributed import (
    any_process,
    is_main_process,
    is_single_process,
    leave_process_group,
    split_between_processes,
)
from sottovoce.training.full_precision import FullPrecision
from sottovoce.training.loop import train
from sottovoce.training.run import Run

DIALS: dict[str, Any] = {
    "steps": 4,
    "seconds_per_batch": 1.0,  # two or three of the corpus's utterances
    "learning_rate": 1e-2,
    "evaluations": 2,
}
RECIPES = {
    "full precision": Training(**DIALS, train_front_end=True),
    "joint": Recipe(
        **DIALS,
        teacher="live",
        students="all",
        search_share=0.5,
        importance_gradient="sampled",
        bits=3,
    ),
    "joint, by the square of the shares' gradients": Recipe(
        **DIALS, teacher="live", search_share=0.5, search_pace=0.5, bits=3
    ),
}
NO_DRAWS = {
    **dict.fromkeys(("hidden_dropout", "attention_dropout", "activation_dropout"), 0.0),
    **dict.fromkeys(("feat_proj_dropout", "final_dropout", "mask_time_prob"), 0.0),
}


def trained(folder: Path, recipe: Training, changes: dict[str, float]) -> dict[str, torch.Tensor]:
    """The state at the end; what was evaluated lies in the folder."""
    torch.set_num_threads(1)
    accelerator = accelerator_for(recipe)
    recogniser = tiny_recogniser(folder / f"own-{os.getpid()}", **changes)
    speech = TrainingSpeech(tiny_corpus(folder / f"speech-{os.getpid()}"), recogniser)
    objective: FullPrecision | JointObjective
    if isinstance(recipe, Recipe):
        objective = JointObjective(recogniser, recipe, accelerator)
    else:
        objective = FullPrecision(recogniser, recipe, accelerator)

    def evaluated(_: Recogniser) -> float:
        with (folder / "evaluated").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return 0.5

    console, settings = Console(quiet=True), {"seed": recipe.seed}
    with Run.open(folder / "out", {}, settings, resume=False, console=console) as run:
        history = train(objective, speech, recipe, run.work, evaluated, console)
    assert len(history) == recipe.steps
    own, whole = (next(speech.batches(recipe, 0, whole=one)) for one in (False, True))
    assert tuple(split_between_processes(whole.ids)) == own.ids
    assert len(whole.ids) > 1
    return dict(objective.state().tensors)


def in_a_process(
    index: int, count: int, port: int, folder: Path, name: str, changes: dict[str, float]
) -> None:
    os.environ |= {"RANK": str(index), "LOCAL_RANK": str(index), "WORLD_SIZE": str(count)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    tensors = trained(folder, RECIPES[name], changes)
    assert not is_single_process()
    assert is_main_process() == (index == 0)
    assert any_process(index == 1)
    assert not any_process(False)
    save_file(tensors, folder / f"{index}.safetensors")
    leave_process_group()
    assert not torch.distributed.is_initialized()


def together(folder: Path, name: str, changes: dict[str, float], count: int = 2) -> list[Any]:
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # A server that has imported all this starts each process in a moment, as new as a spawned one.
    multiprocessing.set_forkserver_preload(["sottovoce.search.joint"])
    start_processes(
        *(in_a_process, (count, port, folder, name, changes), count), start_method="forkserver"
    )
    return [load_file(folder / f"{index}.safetensors") for index in range(count)]


@pytest.mark.parametrize("name", RECIPES)
def test_two_processes_train_what_one_does(tmp_path: Path, one_thread: None, name: str) -> None:
    is_single_process = tmp_path / "alone"
    is_single_process.mkdir()
    expected = trained(is_single_process, RECIPES[name], NO_DRAWS)
    first, second = together(tmp_path / "together", name, NO_DRAWS)
    assert first.keys() == expected.keys()
    for key, tensor in first.items():
        assert torch.equal(tensor, second[key]), key
        torch.testing.assert_close(tensor, expected[key], rtol=1e-3, atol=1e-4)
    assert len(set((tmp_path / "together" / "evaluated").read_text().split())) == 1


def test_processes_stay_together_where_each_drops_other_layers(tmp_path: Path) -> None:
    """And where a batch has fewer utterances than there are processes."""
    changes = {"layerdrop": 0.5, "hidden_dropout": 0.2}
    first, *others = together(tmp_path / "together", "joint", changes, count=3)
    for key, tensor in first.items():
        assert tensor.isfinite().all()
        assert all(torch.equal(tensor, one[key]) for one in others), key


def test_a_process_that_is_alone_runs_the_whole_batch() -> None:
    assert is_single_process()
    assert is_main_process()
    assert split_between_processes(("a", "b", "c")) == ("a", "b", "c")
