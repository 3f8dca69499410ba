"""The commands that the pages show, held against the program, the Makefile and the scripts."""

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import typer

from sottovoce.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAM = typer.main.get_command(app)
COMMANDS = PROGRAM.commands
TARGETS = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)


def simple_commands(shell: str) -> Iterator[list[str]]:
    """The words of each command of a script; comments and variables set before it are left out."""
    for line in shell.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set("&|;"):
                if words:
                    yield words
                words = []
            elif words or not re.match(r"\w+=", word):
                words.append(word)


def shown(program: str) -> list[tuple[str, ...]]:
    """The arguments with which the bash blocks of all pages call a program."""
    return [
        tuple(words[1:])
        for page in PAGES
        for block in re.findall(r"^ *```bash\n(.*?)^ *```", page.read_text(), re.DOTALL | re.M)
        for words in simple_commands(block)
        if Path(words[0]).name == program
    ]


def parse(arguments: tuple[str, ...]) -> None:
    """Read a command line as the program does, and stop before anything is run."""
    with suppress(typer.Exit):  # --help
        whole = PROGRAM.make_context("sottovoce", list(arguments))
        name, command, rest = PROGRAM.resolve_command(whole, list(arguments))
        command.make_context(name, rest, parent=whole)


@pytest.mark.parametrize("arguments", shown("sottovoce"), ids=" ".join)
def test_the_program_takes_a_command_line_that_is_shown(arguments):
    parse(arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_shown(name):
    commands = {arguments[0] for arguments in shown("sottovoce") if arguments}
    assert name in commands, f"no page shows `sottovoce {name}`"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_ends_with_an_example_that_it_takes(name):
    example = re.search(r"^Example: (.*)\Z", COMMANDS[name].help, re.DOTALL | re.MULTILINE)
    assert example is not None
    program, *arguments = shlex.split(example[1])
    assert (program, arguments[0]) == ("sottovoce", name)
    parse(tuple(arguments))


def test_targets_and_scripts_that_are_shown_exist():
    for targets in shown("make"):
        assert {target for target in targets if "=" not in target} <= set(TARGETS)
    for arguments in shown("python"):
        scripts = [argument for argument in arguments if argument.endswith(".py")]
        assert all((ROOT / script).is_file() for script in scripts), scripts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith(("https:", "http:", "mailto:")):
            assert (page.parent / target).exists(), target


def test_the_map_of_the_documentation_names_every_page():
    """Itself, or through the list of decisions."""
    docs = ROOT / "docs"
    linked = {
        (page.parent / target).resolve()
        for page in (docs / "index.md", docs / "decisions" / "index.md")
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    }
    assert set(docs.rglob("*.md")) - {docs / "index.md"} <= linked


def test_the_modules_that_are_shown_exist():
    for arguments in shown("python"):
        if arguments[:1] == ("-m",) and arguments[1].startswith("benchmarks"):
            place = ROOT.joinpath(*arguments[1].split("."))
            assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), place
