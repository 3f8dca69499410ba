"""Measure what benchmarks/RESULTS.md reports: every question, or those that are named.

    python -m benchmarks
    python -m benchmarks speed step_cost --hours 12
    python -m benchmarks --pages

Measured rows are kept, so that only what is missing is measured. Questions that cannot be answered
here are left out, and it is said why. At the end the pages are written anew.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.inputs import add_data
from benchmarks.questions import NAMES, QUESTIONS, Question
from benchmarks.results_page import write_pages


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, then write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--hours", type=float, default=1.0, help="leave out what may take longer")
    parser.add_argument("--pages", action="store_true", help="measure nothing, write the pages")
    add_data(parser)
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"{min(unknown)} is none of {', '.join(NAMES)}")
    failed = []
    if not given.pages:
        for question in QUESTIONS:
            if question.name in (given.names or NAMES):
                failed += measure(question, given.data, given.hours)
    write_pages()
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def measure(question: Question, data: Path, hours: float) -> list[str]:
    """Run a question's script; its name where that fails."""
    missing = question.needs.missing(data, hours)
    if missing is not None:
        print(f"left out: {question.name}: {missing}", flush=True)
        return []
    print(f"measuring: {question.name}: {question.text}", flush=True)
    command = [sys.executable, "-m", question.module]
    if question.needs.data:
        command += ["--data", str(data)]
    ended = subprocess.run(command, check=False)
    return [question.name] if ended.returncode else []


if __name__ == "__main__":
    main()
