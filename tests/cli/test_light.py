"""Help and refusals load nothing heavy: no torch, no transformers, not even NumPy."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from sottovoce.cli.app import app
from sottovoce.command import WITH_RESUME, WITHOUT_RESUME
from sottovoce.quantization.activations import RULES
from sottovoce.quantization.rules import INPUT_RANGES
from sottovoce.runtime.choices import AUTO, CHOICES
from sottovoce.runtime.engines import IN_TORCH, RUNTIMES

ROOT = Path(__file__).parents[2]
COMMANDS = typer.main.get_command(app).commands
HEAVY = {"accelerate", "numpy", "onnx", "openvino", "soundfile", "torch", "transformers"}
PROGRAM = """
import sys
import sottovoce_program
sys.argv[0] = "sottovoce"
try:
    sottovoce_program.run()
finally:
    print("loaded:", *sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def run(folder: Path, *words: object) -> tuple[int, str, set[str]]:
    """Exit status, what was printed, and the packages that were loaded."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    told, loaded = ended.stderr.rsplit("loaded:", 1)
    return ended.returncode, ended.stdout + told, set(loaded.split())


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_loads_nothing_heavy(tmp_path: Path, command: str | None) -> None:
    status, told, loaded = run(tmp_path, *([command] if command else []), "--help")
    assert (status, "Usage: " in told) == (0, True)
    assert not loaded & HEAVY


SPEECH = ("--train", "speech", "--dev", "speech")
COMPRESS = ("compress", "start", *SPEECH, "--out", "small")
QUANTIZE = ("quantize", "start", "--calibration", "speech", "--out", "small")
CALIBRATE = ("calibrate", "start", "--calibration", "speech", "--out", "small")
REPRODUCE = (
    "reproduce",
    "xu2025-table-1",
    "--checkpoint",
    "start",
    "--train",
    "speech",
    "--out",
    "table",
)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("squeeze",), "squeeze"),
        ((*COMPRESS, "--bit", "4"), "--bit"),
        ((*COMPRESS, "--steps", "many"), "as an integer"),
        ((*COMPRESS, "--bits", "9"), "bits is 9"),
        ((*COMPRESS, "--recipe", "papre"), "'papre'"),
        ((*COMPRESS, "--alpha", "0.1"), "--lossless"),
        ((*COMPRESS, "--lossless", "--alpha", "7"), "alpha is 7"),
        ((*COMPRESS, "--baseline", "/no/where"), "/no/where"),
        (("compress", "/no/where", *SPEECH, "--out", "small"), "/no/where"),
        (("compress", "start", "--train", "none", "--dev", "speech", "--out", "s"), "none does"),
        (("compress", "start", *SPEECH, "--out", "speech"), "speech exists"),
        (("compress", "start", *SPEECH, "--out", "file/small"), "file is a file"),
        (("finetune", "start", *SPEECH, "--out", "file"), "file exists"),
        (("finetune", "start", *SPEECH, "--out", "small", "--steps", "0"), "steps is 0"),
        ((*QUANTIZE, "--method", "best"), "method is 'best'"),
        ((*QUANTIZE, "--dev", "none"), "none does not exist"),
        ((*CALIBRATE, "--rule", "best"), "rule is 'best'"),
        (("evaluate", "start", "--data", "speech", "--runtime", "abacus"), "'abacus'"),
        (("evaluate", "start", "--data", "speech", "--out", "file"), "file is a file"),
        (("compare", "/no/a.trn", "b", "--data", "speech"), "/no/a.trn"),
        (("transcribe", "start", "none.wav"), "none.wav does not exist"),
        (("transcribe", "start", "none.wav", "--chunk", "0"), "0 s"),
        (("export", "start", "--to", "paper", "--out", "small"), "'paper'"),
        (("inspect", "none"), "none does not exist"),
        ((*REPRODUCE, "--test", "speech"), "NAME=SPEECH"),
        ((*REPRODUCE, "--test", "a=speech", "--row", "Z9"), "'Z9'"),
        ((*REPRODUCE, "--test", "a=none"), "none does not exist"),
        ((*REPRODUCE, "--test", "a=speech", "--learning-rate", "-1"), "learning_rate is -1"),
        (("demo", "--bits", "11"), "bits is 11"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_a_refusal_loads_nothing_heavy(tmp_path: Path, words: tuple[str, ...], named: str) -> None:
    (tmp_path / "start").mkdir()
    (tmp_path / "speech").mkdir()
    (tmp_path / "file").touch()
    status, told, loaded = run(tmp_path, *words)
    assert status == 2
    assert named in " ".join(told.replace("│", "").split())
    assert "Traceback" not in told
    assert not loaded & HEAVY
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "speech", "start"]


def test_importing_the_library_registers_with_transformers() -> None:
    program = (
        "import sottovoce\n"
        "from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING as known\n"
        "assert 'sottovoce' in known and sottovoce.compress and sottovoce.Recipe"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_names_that_are_listed_apart_are_those_that_there_are() -> None:
    assert (AUTO, *IN_TORCH, *RUNTIMES) == CHOICES
    assert tuple(RULES) == INPUT_RANGES
    resuming = {
        name for name, one in COMMANDS.items() if "resume" in [flag.name for flag in one.params]
    }
    assert resuming == set(WITH_RESUME)
    assert set(WITHOUT_RESUME) <= COMMANDS.keys() - resuming


@pytest.mark.parametrize("after", [0.05, 0.2, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_program_that_still_loads_is_interrupted_in_one_line(
    tmp_path: Path, after: float, sent: signal.Signals
) -> None:
    """Torch and transformers take seconds; in all of them, and before."""
    program = (
        "import sottovoce_program, sys; sys.argv[0] = 'sottovoce'\n"
        "print(flush=True)\n"
        "sottovoce_program.run()"
    )
    (tmp_path / "speech").mkdir()
    words = ("evaluate", "start", "--data", "speech")
    with subprocess.Popen(
        [sys.executable, "-c", program, *words],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        time.sleep(after)
        running.send_signal(sent)
        _, told = running.communicate(timeout=60)
    if running.returncode != 2:  # it was through already: there is no such model
        assert (running.returncode, told) == (128 + sent, "interrupted\n")
