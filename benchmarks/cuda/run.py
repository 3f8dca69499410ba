"""How fast PyTorch runs it on a CUDA device: eager and compiled, on random weights.

    pip install torchao    # for its row alone
    python -m benchmarks.runtimes --build
    python -m benchmarks.cuda.run          # timings; says so where there is no such device

All systems of a shape and a length take turns in one process, utterance by utterance.
"""

import importlib.util
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.inputs import Needs, parser_of, run
from benchmarks.rows import RESULTS, machine, row_of
from benchmarks.runtimes import RUNS, SECONDS, SHAPES, Run, taking_turns
from sottovoce.loading import load
from sottovoce.runtime.compiled_torch import compile_recogniser, precision_on

NEEDS = Needs(hours=0.25, cuda=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows that are missing."""
    parser = parser_of(__doc__, NEEDS)
    parser.add_argument("--shapes", nargs="+", default=SHAPES, choices=SHAPES)
    parser.add_argument("--seconds", nargs="+", type=int, default=SECONDS)
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("no CUDA device: skipped")
        return
    device = torch.device("cuda")
    for shape in given.shapes:
        for seconds in given.seconds:
            name = torch.cuda.get_device_name(device)
            key = {"device": name, "shape": shape, "seconds": seconds}
            measure = partial(times, RUNS / shape, seconds, device)
            print(row_of(RESULTS / "cuda.json", key, measure))


def times(folder: Path, seconds: int, device: torch.device) -> dict[str, Any]:
    """Median seconds for one utterance, by system, and what they ran on."""
    dtype = precision_on(device)
    short = str(dtype).removeprefix("torch.")
    runs = {
        "PyTorch float32, eager": _eager(folder, device, torch.float32),
        f"PyTorch {short}, eager": _eager(folder, device, dtype),
        f"sottovoce, PyTorch {short}, compiled": compile_recogniser(
            load(folder / "float"), device
        ).run,
        f"sottovoce 8 bits, 8-bit inputs, PyTorch {short}, compiled": compile_recogniser(
            load(folder / "int8-8"), device
        ).run,
    }
    if importlib.util.find_spec("torchao") is not None:
        runs[f"torchao int8, dynamic, {short}, compiled"] = _torchao(folder, device, dtype)
    return {"medians": taking_turns(runs, seconds), "machine": machine()}


def _eager(folder: Path, device: torch.device, dtype: torch.dtype) -> Run:
    """What transformers does by itself."""
    return _logits_of(load(folder / "float").model.to(device, dtype), device, dtype)


def _torchao(folder: Path, device: torch.device, dtype: torch.dtype) -> Run:
    from torchao.quantization import (  # noqa: PLC0415 - for its row alone
        Int8DynamicActivationInt8WeightConfig,
        quantize_,
    )

    model = load(folder / "float").model.to(device, dtype)
    quantize_(model, Int8DynamicActivationInt8WeightConfig())
    return _logits_of(torch.compile(model), device, dtype)


def _logits_of(model: Callable[..., Any], device: torch.device, dtype: torch.dtype) -> Run:
    def run(waveform: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            logits = model(torch.from_numpy(waveform).to(device, dtype)).logits
        found: np.ndarray = logits.float().cpu().numpy()
        return found

    return run


if __name__ == "__main__":
    run(main)
