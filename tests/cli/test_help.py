"""The command line explains itself, and a recipe's options are its flags."""

import re
from dataclasses import fields
from typing import Any

import pytest
import typer
from program import Ended, sottovoce

from sottovoce.cli.app import app
from sottovoce.config.decoding import Decoding
from sottovoce.config.post_training import PostTraining
from sottovoce.config.recipe import Recipe, Training
from sottovoce.version import __version__

COMMANDS = typer.main.get_command(app).commands


def _help(*words: str) -> str:
    """What `--help` prints, without the frames and line breaks of a terminal."""
    ended = sottovoce(*words, "--help")
    assert (ended.status, ended.err) == (0, "")
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", ended.out).split())


def test_the_program_lists_its_commands() -> None:
    shown = _help()
    assert sorted(COMMANDS) == [
        *("calibrate", "compare", "compress", "demo", "evaluate", "export", "finetune"),
        *("inspect", "quantize", "reproduce", "transcribe"),
    ]
    for name in COMMANDS:
        assert f" {name} " in shown
    assert "no command" not in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_shows_an_example(name: str) -> None:
    shown = _help(name)
    assert f"Example: sottovoce {name}" in shown
    assert "--help" in shown


DECODES = ("calibrate", "compare", "compress", "evaluate", "finetune", "quantize", "transcribe")


@pytest.mark.parametrize("command", DECODES)
def test_options_of_decoding_are_those_of_every_command_that_writes(command: str) -> None:
    options = {option.name: option for option in COMMANDS[command].params}
    for spec in fields(Decoding):
        assert options[spec.name].help.startswith(spec.metadata["help"])


@pytest.mark.parametrize(
    ("command", "recipe"),
    [("compress", Recipe), ("finetune", Training), ("quantize", PostTraining)],
)
def test_every_option_is_a_flag_with_its_own_help(command: str, recipe: type[Any]) -> None:
    decoding = {spec.name for spec in fields(Decoding)}
    flags = {one.name: one for one in COMMANDS[command].params if one.name not in decoding}
    options = {spec.name: spec for spec in fields(recipe)}
    others = {"checkpoint", "train", "dev", "out", "resume", "recipe", "baseline", "cache"}
    others |= {"lossless", "alpha", "detectable", "calibration", "skip_broken"}
    assert flags.keys() - others == options.keys()
    for name, spec in options.items():
        flag = flags[name]
        assert f"--{name.replace('_', '-')}" in flag.opts
        assert flag.help.startswith(spec.metadata["help"])
        for allowed in spec.metadata["allowed"]:
            assert allowed in flag.help
        assert flag.default is None


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("compress", "start", "--train", "a", "--out", "b"), "--dev"),
        (("compress",), "checkpoint"),
        (("demo", "--bits", "four"), "'--bits'"),
        (("compress", "start", "--bit", "4"), "--bit"),
        (("evaluate", "small"), "--data"),
        (("transcribe", "small"), "files"),
        (("squeeze",), "squeeze"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_wrong_usage_is_explained(words: tuple[str, ...], named: str) -> None:
    ended = sottovoce(*words)
    assert ended.status == 2
    assert ended.out == ""
    assert "Usage: " in ended.err
    assert named in ended.err.lower()
    assert "Traceback" not in ended.err


def test_the_program_alone_shows_its_help() -> None:
    assert "Usage: " in sottovoce().out


def test_the_program_tells_its_version() -> None:
    assert sottovoce("--version") == Ended(0, f"sottovoce {__version__}\n", "")
    assert "--version" in _help()
