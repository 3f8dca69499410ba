"""8 bits for weights and inputs, without training: see `benchmarks/posttraining.py`."""

from benchmarks.inputs import run
from benchmarks.posttraining import NEEDS, ROWS, main

__all__ = ["NEEDS", "ROWS", "main"]

if __name__ == "__main__":
    run(main)
