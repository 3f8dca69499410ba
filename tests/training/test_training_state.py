import resource
from pathlib import Path

import pytest
import torch
from torch import nn

from sottovoce.errors import InputError
from sottovoce.training.loop import ParameterGroup, optimizer_of
from sottovoce.training.state import Saved, WorkFolder, optimizer_tensors, restore_optimizer

SETTINGS = {"source": "here", "recipe": {"steps": 3, "candidates": (2, 4)}}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    work = WorkFolder.open(tmp_path / "out", SETTINGS, resume=False)
    assert work.path == tmp_path / "out.unfinished"
    assert work.load() is None
    tensors = {"a": torch.randn(3, 2).T, "b": nn.Parameter(torch.zeros(1))}
    work.save(Saved(tensors, {"plan": None, "sizes": [{"step": 1}]}))
    loaded = work.load()
    assert loaded is not None
    assert loaded.facts == {"plan": None, "sizes": [{"step": 1}]}
    assert loaded.tensors.keys() == tensors.keys()
    assert all(torch.equal(loaded.tensors[name], one) for name, one in tensors.items())
    assert sorted(path.name for path in work.path.iterdir()) == [
        "settings.json",
        "state.safetensors",
    ]


def test_an_unfinished_run_needs_resume(tmp_path: Path) -> None:
    WorkFolder.open(tmp_path / "out", SETTINGS, resume=False)
    with pytest.raises(InputError, match="--resume"):
        WorkFolder.open(tmp_path / "out", SETTINGS, resume=False)
    assert WorkFolder.open(tmp_path / "out", SETTINGS, resume=True).load() is None


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    WorkFolder.open(tmp_path / "out", SETTINGS, resume=False)
    other = {**SETTINGS, "recipe": {"steps": 4, "candidates": (2, 4)}}
    with pytest.raises(InputError, match="not started with the same recipe;"):
        WorkFolder.open(tmp_path / "out", other, resume=True)


def test_an_output_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="exists"):
        WorkFolder.open(tmp_path / "out", SETTINGS, resume=True)
    assert not (tmp_path / "out.unfinished").exists()


def test_a_full_disk_is_said_and_the_last_state_is_kept(tmp_path: Path) -> None:
    work = WorkFolder.open(tmp_path / "out", SETTINGS, resume=False)
    work.save(Saved({"a": torch.ones(2)}, {}))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(InputError, match="cannot be written.*make room"):
            work.save(Saved({"a": torch.zeros(10_000)}, {}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    loaded = work.load()
    assert loaded is not None
    assert torch.equal(loaded.tensors["a"], torch.ones(2))
    assert not list(work.path.glob("*.writing"))


def test_the_optimizers_moments_come_back() -> None:
    def made() -> tuple[nn.Parameter, nn.Parameter, torch.optim.AdamW]:
        first, second = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(3))
        return first, second, optimizer_of([ParameterGroup([first, second], 0.1)])

    def update(parameter: nn.Parameter, optimizer: torch.optim.AdamW) -> None:
        parameter.grad = torch.full_like(parameter, 0.3)
        optimizer.param_groups[0]["lr"] = 0.1
        optimizer.step()

    _, second, optimizer = made()  # the first parameter never had a gradient
    update(second, optimizer)
    tensors = {name: one.clone() for name, one in optimizer_tensors(optimizer).items()}
    value = second.detach().clone()
    update(second, optimizer)

    other_first, other_second, other_optimizer = made()
    other_second.data.copy_(value)
    restore_optimizer(other_optimizer, tensors)
    update(other_second, other_optimizer)
    assert torch.equal(other_second, second)
    assert torch.equal(other_first, torch.ones(2, 2))


def test_what_another_process_is_training_is_not_forgotten(tmp_path: Path) -> None:
    work = WorkFolder.open(tmp_path / "out", SETTINGS, resume=False)
    with work.held():
        other = WorkFolder.open(tmp_path / "out", SETTINGS, resume=True)
        with pytest.raises(InputError, match="another process"), other.forgotten_while_empty():  # noqa: SIM117
            with other.held():
                pass
        assert work.path.is_dir()
    with pytest.raises(KeyboardInterrupt), work.forgotten_while_empty():
        raise KeyboardInterrupt
    assert not work.path.exists()


@pytest.mark.parametrize(
    ("ends", "stays"), [(InputError("no"), False), (KeyboardInterrupt(), True)]
)
def test_what_was_computed_goes_with_a_mistake_and_stays_after_an_interruption(
    tmp_path: Path, ends: BaseException, stays: bool
) -> None:
    work = WorkFolder.open(tmp_path / "out", SETTINGS, resume=False)
    work.part("teacher")
    with pytest.raises(type(ends)), work.forgotten_while_empty("teacher"):
        raise ends
    assert work.path.exists() == stays
