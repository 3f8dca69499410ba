"""How fast it runs on a CPU: see `benchmarks/runtimes.py`."""

import sys
from collections.abc import Sequence

from benchmarks import runtimes
from benchmarks.inputs import Needs, run
from benchmarks.rows import RESULTS

ROWS = RESULTS / "runtimes.json"
NEEDS = Needs(hours=1, packages=("nncf", "openvino", "onnxruntime"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Build what is missing, then measure the rows that are missing."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given:
        runtimes.main(["--build"])
    runtimes.main(given)


if __name__ == "__main__":
    run(main)
