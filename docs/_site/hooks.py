"""What the site has beside docs/: commands, the Python interface, and the results."""

import inspect
import re
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import sottovoce
from sottovoce.cli.app import app

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are generated."""
    pages = {"reference/cli.md": commands(), "reference/api.md": interface()}
    for file in (BENCHMARKS / "RESULTS.md", *sorted((BENCHMARKS / "results").glob("*.md"))):
        text = file.read_text(encoding="utf-8")
        pages[file.relative_to(ROOT).as_posix()] = text.replace("](../../docs/", "](../../")
    for image in (BENCHMARKS / "results").glob("*.svg"):
        pages[image.relative_to(ROOT).as_posix()] = image.read_text(encoding="utf-8")
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead links from docs/ to the results to where these are on the site."""
    up = "../" * page.file.src_uri.count("/")
    return re.sub(r"\]\((?:\.\./)+benchmarks/", f"]({up}benchmarks/", markdown)


def commands() -> str:
    """Every command with its arguments and options, from the program itself."""
    program: Any = typer.main.get_command(app)
    parts = ["# Commands", "As `sottovoce COMMAND --help` says it."]
    for name, command in program.commands.items():
        parts += [f"## sottovoce {name}", *_described(command.help)]
        lines = [_line(one) for one in command.params if not getattr(one, "hidden", False)]
        parts.append("\n".join(("| option | default | |", "| --- | --- | --- |", *lines)))
    return "\n\n".join(parts) + "\n"


def _described(text: str) -> list[str]:
    about, _, example = inspect.cleandoc(text).partition("Example: ")
    return [_plain(about.strip()), f"```bash\n{' '.join(example.split())}\n```"]


def _line(parameter: Any) -> str:
    names = [*parameter.opts, *parameter.secondary_opts]
    if parameter.param_type_name == "argument":
        names = [parameter.name.upper()]
    required = "required" if parameter.required else ""
    default = parameter.default if isinstance(parameter.default, int | float | str | bool) else None
    shown = required or ("" if default is None else f"`{default}`")
    named = ", ".join(f"`{name}`" for name in names)
    return f"| {named} | {shown} | {_plain(parameter.help or '')} |"


def _plain(text: str) -> str:
    """Without what the terminal or a table would read as markup."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")


def interface() -> str:
    """Every public name, from its docstring."""
    parts = ["# Python", "What `import sottovoce` offers; everything else may change."]
    for name in sottovoce.__all__:
        value = getattr(sottovoce, name)
        if not name.startswith("__"):
            parts.append(f"::: {value.__module__}.{value.__qualname__}")
    return "\n\n".join(parts) + "\n"
