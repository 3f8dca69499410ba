"""What a benchmark needs: data outside the repository, packages, a device, time."""

import argparse
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from sottovoce.errors import InputError

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs"
"""Where trained models and tables stay, so that nothing is trained twice; git ignores it."""

DATA = Path("../shared")
"""Where the data are looked for if `--data` does not say, from the folder that one is in."""


@dataclass(frozen=True)
class Inputs:
    """The data folder: connected words, and the recogniser that was trained on them."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> "Inputs":
        """What a folder holds.

        Raises:
            InputError: something is not there.
        """
        inputs = cls(folder)
        _ = inputs.checkpoint, inputs.train, inputs.dev
        return inputs

    @property
    def checkpoint(self) -> Path:
        return self._there("models/commands-wav2vec2")

    @property
    def train(self) -> Path:
        return self._there("data/commands/train.jsonl")

    @property
    def dev(self) -> Path:
        return self._there("data/commands/dev.jsonl")

    def _there(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            raise InputError(
                f"{path} is not there; give the folder that holds data/commands and "
                "models/commands-wav2vec2 as --data DIR (benchmarks/README.md says what they are)"
            )
        return path


@dataclass(frozen=True)
class Needs:
    """What a benchmark needs beside this repository and the packages of the `dev` extra.

    Attributes:
        hours: about how long it takes from the beginning, on two cores.
        data: whether it reads `Inputs`.
        packages: that `benchmarks/peers.txt` pins, by the names that they are imported with.
        cuda: whether it needs a CUDA device.
    """

    hours: float
    data: bool = False
    packages: tuple[str, ...] = ()
    cuda: bool = False

    def missing(self, folder: Path, hours: float) -> str | None:
        """Why it cannot be run here, in at most so many hours; None where it can."""
        absent = [one for one in self.packages if importlib.util.find_spec(one) is None]
        if absent:
            return f"needs {', '.join(absent)}: pip install -r benchmarks/peers.txt"
        if self.cuda and not torch.cuda.is_available():
            return "needs a CUDA device"
        if self.data:
            try:
                Inputs.at(folder)
            except InputError as error:
                return str(error)
        if self.hours > hours:
            return f"may take {self.hours:g} hours: allow it with --hours {self.hours:g}"
        return None


def parser_of(description: str | None, needs: Needs) -> argparse.ArgumentParser:
    """A parser whose --help says what the benchmark does and needs, and starts nothing."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if needs.data:
        add_data(parser)
    return parser


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add `--data`."""
    parser.add_argument(
        "--data",
        type=Path,
        default=DATA,
        metavar="DIR",
        help="folder that holds data/commands (train.jsonl and dev.jsonl: connected words of the "
        "Arabic Speech Commands) and models/commands-wav2vec2 (a recogniser of them); "
        "%(default)s if not given",
    )


def run(main: Callable[[], None]) -> None:
    """Run a script's `main`; a user's mistake ends it with one sentence."""
    try:
        main()
    except InputError as error:
        raise SystemExit(str(error)) from None
