"""The questions, one folder each: `run.py` measures, `table.py` shows.

`run.py` has `NEEDS`, and `main(arguments)` that measures the rows that are missing; `table.py` has
`page()`, all rows in Markdown, and `answer()`, a sentence.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmarks.inputs import Needs
from benchmarks.rows import RESULTS

NAMES = (
    *("three_bits", "low_bits", "papers", "sizes", "plans", "importances", "ptq_start"),
    *(
        "peers",
        "int8",
        "stablequant",
        "quantize_time",
        "speed",
        "cuda",
        "runtime_words",
        "chunking",
    ),
    *("step_cost", "teacher_pass", "fake_quant", "bytes_on_disk"),
)
"""In the order of the results; those that others need come first."""


@dataclass(frozen=True)
class Question:
    """One of the folders."""

    name: str

    @property
    def text(self) -> str:
        """What is asked."""
        return (import_module(f"benchmarks.{self.name}").__doc__ or "").strip()

    @property
    def module(self) -> str:
        """What measures."""
        return f"benchmarks.{self.name}.run"

    @property
    def needs(self) -> Needs:
        needs: Needs = import_module(self.module).NEEDS
        return needs

    @property
    def rows(self) -> Path:
        """The file of its rows; there is none where the rows are those of tables."""
        file: Path = getattr(import_module(self.module), "ROWS", RESULTS / f"{self.name}.json")
        return file

    def page(self) -> str:
        """All rows, in Markdown."""
        text: str = import_module(f"benchmarks.{self.name}.table").page()
        return text

    def answer(self) -> str:
        """A sentence."""
        text: str = import_module(f"benchmarks.{self.name}.table").answer()
        return text


QUESTIONS = tuple(map(Question, NAMES))


def folders() -> list[str]:
    """Names of the folders that are there."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/run.py"))
