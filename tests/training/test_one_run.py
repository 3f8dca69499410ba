"""One run: what it may go on from, who may be at work on it, and what is left of it."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from sottovoce.errors import InputError
from sottovoce.training.run import Run, unfinished
from sottovoce.training.state import Saved

INPUTS = {"model": "of 94 M"}
SETTINGS = {"recipe": {"steps": 3, "candidates": (2, 4)}}
BEGUN = """
import sys, time
from pathlib import Path
from rich.console import Console
from sottovoce.training.run import Run
with Run.open(Path(sys.argv[1]), {}, {}, resume=False, console=Console()) as run:
    run.finished.mkdir()
    (run.finished / "model").write_text("of the first")
"""


def opened(
    out: Path,
    resume: bool = False,
    settings: dict[str, object] = SETTINGS,
    console: Console | None = None,
) -> AbstractContextManager[Run]:
    quiet = console or Console(quiet=True)
    return Run.open(out, INPUTS, settings, resume=resume, console=quiet)


def kept(run: Run) -> None:
    run.work.save(Saved({"a": torch.ones(2)}, {}))


def test_a_run_becomes_its_folder_and_leaves_nothing_else(tmp_path: Path) -> None:
    with opened(tmp_path / "out") as run:
        assert run.path == unfinished(tmp_path / "out")
        run.finished.mkdir()
        (run.finished / "model").touch()
        run.publish()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "model"]


def test_an_unfinished_run_is_gone_on_with_where_that_is_asked(tmp_path: Path) -> None:
    with opened(tmp_path / "out") as run:
        kept(run)
    with pytest.raises(
        InputError, match="holds an interrupted run: call it again with resume=True"
    ):
        opened(tmp_path / "out").__enter__()
    with opened(tmp_path / "out", resume=True) as run:
        assert run.work.load() is not None


def test_the_program_says_the_command_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "out") as run:
        kept(run)
    monkeypatch.setattr(sys, "argv", ["/bin/sottovoce", "compress", "a b", "--out", "out"])
    with pytest.raises(
        InputError, match="go on with: sottovoce compress 'a b' --out out --resume "
    ):
        opened(tmp_path / "out").__enter__()


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    with opened(tmp_path / "out") as run:
        kept(run)
    other: dict[str, object] = {"recipe": {"steps": 4, "candidates": (2, 4)}}
    with pytest.raises(InputError, match="not started with the same recipe;"):
        opened(tmp_path / "out", True, other).__enter__()


def test_an_output_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="exists"):
        opened(tmp_path / "out", True).__enter__()
    assert not unfinished(tmp_path / "out").exists()


def test_what_does_not_say_what_it_was_begun_with_is_not_taken_over(tmp_path: Path) -> None:
    """As a process leaves it that is killed while it cleans up, or as anyone may make it."""
    with opened(tmp_path / "out") as run:
        kept(run)
    (run.path / "settings.json").unlink()
    for resume in (False, True):
        with pytest.raises(InputError, match="does not say what it was begun with; delete it"):
            opened(tmp_path / "out", resume).__enter__()
    assert (run.path / "state.safetensors").is_file()


def test_damaged_settings_are_named_with_their_mend(tmp_path: Path) -> None:
    with opened(tmp_path / "out") as run:
        kept(run)
    (run.path / "settings.json").write_text("")
    with pytest.raises(InputError, match=r"settings.json is damaged .*delete .*out.unfinished and"):
        opened(tmp_path / "out", True).__enter__()


def test_a_run_that_is_killed_while_it_cleans_up_leaves_nothing_that_is_taken_for_one(
    tmp_path: Path,
) -> None:
    program = (
        f"import os, signal\n{BEGUN}    original = os.unlink\n"
        "    def killed(*given, **named):\n"
        "        original(*given, **named); os.kill(os.getpid(), signal.SIGKILL)\n"
        "    os.unlink = killed\n"
        "    run.publish()\n"
    )
    out = tmp_path / "out"
    ended = subprocess.run([sys.executable, "-c", program, out], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert (out / "model").read_text() == "of the first"
    assert not unfinished(out).exists()
    shutil.rmtree(out)
    with opened(out) as run:  # as if nothing had been there
        run.finished.mkdir()
        run.publish()
    assert list(tmp_path.iterdir()) == [out]


def test_a_run_is_held_until_its_folder_is_there(tmp_path: Path) -> None:
    """Trained or not: a second process neither goes on with it nor deletes what it delivers."""
    out = tmp_path / "out"
    program = BEGUN + "    print(flush=True); sys.stdin.readline(); run.publish()\n"
    with subprocess.Popen(
        [sys.executable, "-c", program, out], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        assert first.stdout is not None and first.stdin is not None
        first.stdout.readline()
        with pytest.raises(InputError, match="another process is at work on"):
            Run.open(out, {}, {}, resume=True, console=Console(quiet=True)).__enter__()
        assert (unfinished(out) / "finished" / "model").is_file()
        first.stdin.write(b"\n")
        first.stdin.flush()
        assert first.wait(60) == 0
    assert (out / "model").read_text() == "of the first"
    with pytest.raises(InputError, match="exists"):
        Run.open(out, {}, {}, resume=True, console=Console(quiet=True)).__enter__()
    assert list(tmp_path.iterdir()) == [out]


def test_a_run_that_kept_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), opened(tmp_path / "out"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), opened(tmp_path / "out") as run:
        kept(run)
        raise KeyboardInterrupt
    assert run.path.is_dir()


@pytest.mark.parametrize(
    ("ends", "stays"), [(InputError("no"), False), (KeyboardInterrupt(), True)]
)
def test_what_was_computed_goes_with_a_mistake_and_stays_after_an_interruption(
    tmp_path: Path, ends: BaseException, stays: bool
) -> None:
    with pytest.raises(type(ends)), opened(tmp_path / "out") as run:  # noqa: SIM117
        with run.forgotten_while_empty("teacher"):
            run.work.part("teacher")
            raise ends
    assert run.path.exists() == stays


def test_a_run_goes_on_with_as_many_threads_as_it_was_begun_with(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    console = Console(record=True, file=StringIO())
    try:
        torch.set_num_threads(2)
        with opened(tmp_path / "out", console=console) as run:
            kept(run)
        assert console.export_text() == ""
        torch.set_num_threads(1)
        with opened(tmp_path / "out", resume=True, console=console):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 1
        assert console.export_text() == "computing with 2 threads, as the run was begun\n"
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("inside", [False, True])
def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, inside: bool) -> None:
    file = tmp_path / "file"
    file.touch()
    out = file / "out" if inside else file
    with pytest.raises(InputError, match=f"{file} is a file" if inside else "file exists"):
        opened(out).__enter__()
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="you may not write to"):
        opened(tmp_path / "out").__enter__()
