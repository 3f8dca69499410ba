import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sottovoce.errors import InputError
from sottovoce.files import write_text
from sottovoce.training.loop import ParameterGroup, build_optimizer
from sottovoce.training.state import Saved, WorkFolder, optimizer_tensors, restore_optimizer


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    assert work.load() is None
    tensors = {"a": torch.randn(3, 2).T, "b": nn.Parameter(torch.zeros(1))}
    work.save(Saved(tensors, {"plan": None, "sizes": [{"step": 1}]}))
    loaded = work.load()
    assert loaded is not None
    assert loaded.facts == {"plan": None, "sizes": [{"step": 1}]}
    assert loaded.tensors.keys() == tensors.keys()
    assert all(torch.equal(loaded.tensors[name], one) for name, one in tensors.items())
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]


def test_a_full_disk_is_said_and_the_last_state_is_kept(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
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
        return first, second, build_optimizer([ParameterGroup([first, second], 0.1)])

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


@pytest.mark.parametrize("damage", [b"", b"\0" * 300, None], ids=["empty", "zeros", "cut short"])
def test_a_damaged_state_is_named_with_its_mend(tmp_path: Path, damage: bytes | None) -> None:
    work = WorkFolder(tmp_path)
    work.save(Saved({"a": torch.ones(20)}, {}))
    file = tmp_path / "state.safetensors"
    file.write_bytes(file.read_bytes()[:50] if damage is None else damage)
    with pytest.raises(
        InputError, match="is damaged .*delete it, and what it held is computed"
    ) as told:
        work.load()
    assert str(file) in str(told.value)


def test_what_is_saved_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a loss of power the state is the old one or the new one, and never empty."""
    done: list[str] = []

    def recorded(name: str, path_of: Callable[..., str]) -> None:
        original = getattr(os, name)

        def noted(*given: Any) -> Any:
            done.append(f"{name} {path_of(*given)}")
            return original(*given)

        monkeypatch.setattr(os, name, noted)

    recorded("fsync", lambda number: Path(f"/proc/self/fd/{number}").resolve().name)
    recorded("replace", lambda _, path: Path(path).name)
    WorkFolder(tmp_path).save(Saved({"a": torch.ones(20)}, {}))
    write_text(tmp_path / "told.json", "{}")
    for name in ("state.safetensors", "told.json"):
        at = done.index(f"replace {name}")
        assert done[at - 1].startswith("fsync ") and name in done[at - 1]
        assert done[at + 1] == f"fsync {tmp_path.name}"
