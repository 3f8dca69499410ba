"""What holds the project together: dependencies, their direction, and what is installed."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import sottovoce
from sottovoce.version import __version__

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sottovoce"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def sources(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*.py")) if "__pycache__" not in file.parts]


def imported(file: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def order_of_parts() -> list[str]:
    """The parts of the package, as CONTRIBUTING.md lists them."""
    listing = re.search(r"```text\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert listing is not None
    return [line.split()[0] for line in listing[1].splitlines()]


def third_party(folder: Path) -> dict[str, Path]:
    """Distributions that a folder's files import, each with a file that does."""
    provided = packages_distributions()
    own = {"sottovoce"} | {
        name
        for place in (folder, ROOT / "benchmarks")
        for file in place.rglob("*.py")
        for name in (file.stem, file.parent.name)
    }
    return {
        canonicalize_name(distribution): file
        for file in sources(folder)
        for name in (module.split(".")[0] for module in imported(file))
        if name not in own and name not in sys.stdlib_module_names
        for distribution in provided.get(name, [name])  # peers need not be installed
    }


def requirements(*extras: str) -> dict[str, Requirement]:
    """The package's own requirements and those of some extras, without the package itself."""
    project = PYPROJECT["project"]
    lines = [*project["dependencies"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    parsed = {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}
    return {name: one for name, one in parsed.items() if name != "sottovoce"}


def peers() -> dict[str, Requirement]:
    """What the comparison with peers needs, by the first word of the name too (optimum-quanto)."""
    lines = (ROOT / "benchmarks" / "peers.txt").read_text().splitlines()
    parsed = [Requirement(line) for line in lines]
    named = {canonicalize_name(one.name): one for one in parsed}
    return named | {name.split("-")[0]: one for name, one in named.items()}


EXTRAS = tuple(PYPROJECT["project"]["optional-dependencies"])


def test_every_part_is_listed_in_its_place():
    parts = {
        path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for path in sources(PACKAGE)
        if path != PACKAGE / "__init__.py"
    }
    assert sorted(order_of_parts()) == sorted(parts)


def test_no_public_name_hides_a_part():
    assert not set(sottovoce.__all__) & set(order_of_parts())


def test_a_part_needs_only_parts_above_it():
    order = order_of_parts()
    upward = []
    for file in sources(PACKAGE):
        part = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for module in imported(file):
            names = module.split(".")
            if names[0] == "sottovoce" and part != "__init__":
                needed = names[1]
                if order.index(needed) > order.index(part):
                    upward.append(f"{file.relative_to(ROOT)} imports {module}")
    assert not upward


def test_every_package_that_is_imported_is_a_requirement():
    for folder, known in (
        (PACKAGE, requirements(*(set(EXTRAS) - {"dev"}))),
        (ROOT / "tests", requirements(*EXTRAS)),
        (ROOT / "benchmarks", requirements(*EXTRAS) | peers()),
    ):
        for distribution, file in third_party(folder).items():
            assert distribution in known, f"{file.relative_to(ROOT)} imports {distribution}"


def test_every_requirement_of_the_package_is_imported():
    assert set(requirements()) <= set(third_party(PACKAGE))


def test_constraints_pin_every_requirement_once_to_a_version_it_allows():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    versions = {canonicalize_name(name): version for name, version in pins}
    assert len(versions) == len(pins)
    for name, requirement in requirements(*EXTRAS).items():
        assert requirement.specifier.contains(versions[name]), f"{requirement}: {versions[name]}"


def test_every_file_of_the_package_is_installed_with_it():
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["sottovoce"]
    installed = {file for pattern in patterns for file in PACKAGE.glob(pattern)}
    for file in PACKAGE.rglob("*"):
        unwanted = any(name.startswith(("__pycache__", ".")) for name in file.parts)
        if file.is_file() and file.suffix != ".py" and not unwanted:
            assert file in installed, f"{file.relative_to(ROOT)} matches no package-data pattern"
    for pattern in patterns:
        assert any(PACKAGE.glob(pattern)), f"{pattern} matches no file"


def test_make_without_a_target_explains_every_target():
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets is not None
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    explained = [line.split(maxsplit=1) for line in shown.splitlines()]
    assert [target for target, _ in explained] == targets[1].split()


def test_the_changelog_has_an_entry_for_this_version():
    entries = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert __version__ in entries
