"""Ctrl-C on the real program, and going on afterwards."""

import json
import shlex
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from program import save_checkpoint, save_speech, sottovoce

from sottovoce.errors import Interrupted
from sottovoce.record import TrainingPoint
from sottovoce.training import loop
from sottovoce.training.state import WorkFolder

UPDATES = 30
AN_HOUR = 3600.0
PROGRAM = (
    "import sys, torch; torch.set_num_threads(1); sys.argv[0] = 'sottovoce'; "
    "from sottovoce.cli.app import run; run()"
)


def test_an_interrupted_compression_goes_on_and_ends_as_one_that_was_not(
    tmp_path: Path, one_thread: None
) -> None:
    start, speech = save_checkpoint(tmp_path / "start"), save_speech(tmp_path / "speech")
    out, unfinished = tmp_path / "small", tmp_path / "small.unfinished"

    def command(into: Path) -> list[str]:
        return [
            *("compress", str(start), "--train", str(speech), "--dev", str(speech)),
            *("--out", str(into), "--bits", "3", "--learning-rate", "1e-2"),
            *(
                "--steps",
                str(UPDATES),
                "--evaluations",
                str(UPDATES // 2),
                "--seconds-per-batch",
                "1",
            ),
        ]

    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *command(out)],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith("update 2 of"):
                break
        settled = (unfinished / "settings.json").is_file()
        running.send_signal(signal.SIGINT)
        said, told = running.communicate(timeout=60)

    assert settled
    assert running.returncode == 130, told
    sentences = [line for line in told.splitlines() if "interrupted" in line]
    assert sentences == told.splitlines()[-1:]
    going_on = shlex.join(["sottovoce", *command(out), "--resume"])
    assert f"of {UPDATES}, which is kept in {unfinished}; go on with: {going_on}\n" in told
    assert "Traceback" not in told
    assert said == ""
    assert not out.exists()
    assert (unfinished / "state.safetensors").is_file()

    refused = sottovoce(*command(out))
    assert (refused.status, refused.out) == (2, "")
    assert f"holds an interrupted run: go on with: {going_on} (or delete it)" in refused.err
    other = sottovoce(*command(out), "--resume", "--seed", 1)
    assert other.status == 2
    assert "not started with the same recipe;" in other.err

    work = WorkFolder(unfinished)
    saved = work.load()
    assert saved is not None
    place = [spec.name for spec in fields(TrainingPoint)].index("seconds")
    saved.tensors["history"][:, place] += AN_HOUR
    work.save(saved)
    resumed = sottovoce(*command(out), "--resume")
    assert resumed.status == 0, resumed.err
    assert "update 2 of" not in resumed.err
    assert not unfinished.exists()
    assert json.loads((out / "metrics.json").read_text())["seconds"] > AN_HOUR

    whole = tmp_path / "whole"
    assert sottovoce(*command(whole)).status == 0
    for name in ("model.safetensors", "config.json", "recipe.toml", "compressed.trn"):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_outside_training_is_one_sentence_too(
    tmp_path: Path, sent: signal.Signals
) -> None:
    program = (
        "import signal, sottovoce_program, sys, time; sys.argv[0] = 'sottovoce'; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from sottovoce.cli import app; "
        "app.app = lambda: (print('begun', flush=True), time.sleep(60)); app.run()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, "compress", tmp_path],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        running.send_signal(sent)
        _, told = running.communicate(timeout=60)
    assert running.returncode == 128 + sent
    assert told == f"interrupted; go on with: sottovoce compress {tmp_path} --resume\n"


@pytest.mark.parametrize("begin", ["start", "learnt"])
def test_an_interrupted_pass_2_ends_as_one_that_was_not(
    tmp_path: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch, begin: str
) -> None:
    start, speech = save_checkpoint(tmp_path / "start"), save_speech(tmp_path / "speech")

    def command(into: str) -> list[object]:
        return [
            *("compress", start, "--train", speech, "--dev", speech, "--out", tmp_path / into),
            *("--bits", 3, "--learning-rate", 1e-2, "--search-share", 0.5, "--steps", 4),
            *("--evaluations", 1, "--seconds-per-batch", 1, "--kl-finetune", 0.5),
            *("--finetune", begin),
        ]

    made, original = [], loop.make_update

    def stopped_in_pass_2(*given: object) -> object:
        made.append(given)
        if len(made) == 7:
            raise Interrupted("interrupted")
        return original(*given)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "_SAVE_EVERY_SECONDS", 0.0)
        patched.setattr(loop, "make_update", stopped_in_pass_2)
        assert sottovoce(*command("small")).status == 130
    assert (tmp_path / "small.unfinished" / "pass 2" / "state.safetensors").is_file()
    assert sottovoce(*command("small"), "--resume").status == 0
    assert sottovoce(*command("whole")).status == 0
    for name in ("model.safetensors", "config.json", "recipe.toml", "compressed.trn"):
        found, expected = (tmp_path / one / name for one in ("small", "whole"))
        assert found.read_bytes() == expected.read_bytes(), name
    history = json.loads((tmp_path / "small" / "metrics.json").read_text())["history"]
    assert [point["step"] for point in history] == list(range(1, 9))


def test_an_interrupted_first_stage_keeps_its_uniform_models(
    tmp_path: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, speech = save_checkpoint(tmp_path / "start"), save_speech(tmp_path / "speech")

    def command(into: str) -> list[object]:
        return [
            *("compress", start, "--train", speech, "--dev", speech, "--out", tmp_path / into),
            *("--bits", 3, "--learning-rate", 1e-2, "--steps", 2, "--evaluations", 1),
            *("--seconds-per-batch", 1, "--plan-by", "kl", "--sensitivity-batches", 1),
        ]

    made, original = [], loop.make_update

    def counted(*given: object) -> object:
        made.append(given)
        if len(made) == 6:
            raise Interrupted("interrupted")
        return original(*given)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "_SAVE_EVERY_SECONDS", 0.0)
        patched.setattr(loop, "make_update", counted)
        assert sottovoce(*command("small")).status == 130
        made.clear()
        patched.setattr(loop, "make_update", lambda *given: made.append(1) or original(*given))
        assert sottovoce(*command("small"), "--resume").status == 0
    assert len(made) == 1 + 2  # the last uniform update, then the plan's two
    assert sottovoce(*command("whole")).status == 0
    name = "model.safetensors"
    assert (tmp_path / "small" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
