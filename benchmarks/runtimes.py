"""How fast it runs: PyTorch, ONNX Runtime, OpenVINO and NNCF's own 8 bits, on random weights.

    pip install nncf    # for its rows alone
    python -m benchmarks.runtimes --build          # models and graphs, once, into runs/runtimes
    python -m benchmarks.runtimes                  # timings: nothing else should run meanwhile

Every system of a shape and a length is timed in one process, turn by turn; load times and peak
memory in a process of their own each. Rows are kept in `benchmarks/results/runtimes.json`.
"""

# ruff: noqa: PLC0415 - a process that measures memory loads nothing but its own runtime

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "runtimes"
THREADS = 2
ROUNDS = 15
RATE = 16000
CALIBRATION = 3  # utterances of 3 s, of noise: ranges do not change the time
SECONDS = (10, 30)
SHAPES = ("wav2vec2-base", "hubert-large")
WIDTHS = (8, 4, 2)
_REST = 0.3  # seconds until a runtime's threads have stopped waiting for more work
_PEAK = 2048  # rows and columns of the matrices that the machine's peak is measured with

Run = Callable[[np.ndarray], Any]


@dataclass(frozen=True)
class System:
    """One way to run a shape.

    Attributes:
        file: in the shape's folder.
        engine: which of `ENGINES` runs it.
    """

    name: str
    file: str
    engine: str

    @property
    def rounds_inputs(self) -> bool:
        """Whether it runs on 8-bit kernels with fixed ranges."""
        return self.file.startswith(("int8", "nncf"))


def systems() -> list[System]:
    """All of them; the first is what PyTorch does by itself."""
    ours = [
        System(f"sottovoce {bits} bits, 8-bit inputs, {engine}", f"int8-{bits}.onnx", engine)
        for bits in WIDTHS
        for engine in ("OpenVINO f32", "OpenVINO bf16", "ONNX Runtime")
        if bits == WIDTHS[0] or engine == "OpenVINO f32"
    ]
    return [
        System("PyTorch fp32, eager", "float", "PyTorch"),
        System("PyTorch fp32, compiled", "float", "PyTorch compiled"),
        System("ONNX Runtime fp32", "float.onnx", "ONNX Runtime"),
        System("ONNX Runtime int8, dynamic", "dynamic.onnx", "ONNX Runtime"),
        System("OpenVINO fp32", "stock.xml", "OpenVINO f32"),
        System("OpenVINO bf16", "stock.xml", "OpenVINO bf16"),
        System("NNCF 8 bits, OpenVINO f32", "nncf.xml", "OpenVINO f32"),
        System("NNCF 8 bits, OpenVINO bf16", "nncf.xml", "OpenVINO bf16"),
        *ours,
        System("sottovoce 8 bits, 8-bit inputs, PyTorch compiled", "int8-8", "PyTorch compiled"),
        System("sottovoce 4 bits, OpenVINO f32", "weights-4.onnx", "OpenVINO f32"),
        System("sottovoce 4 bits, ONNX Runtime", "weights-4.onnx", "ONNX Runtime"),
        System("sottovoce 4 bits, packed in memory", "nbits-4.onnx", "ONNX Runtime"),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Build, or measure the rows that are missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", action="store_true", help="make models and graphs")
    parser.add_argument("--shapes", nargs="+", default=SHAPES, choices=SHAPES)
    parser.add_argument("--seconds", nargs="+", type=int, default=SECONDS)
    parser.add_argument("--footprint", nargs=2, metavar=("FILE", "ENGINE"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.footprint:
        print(json.dumps(_footprint(Path(given.footprint[0]), given.footprint[1])))
    elif given.build:
        for shape in given.shapes:
            build(shape)
    else:
        measure(given.shapes, given.seconds)


def measure(shapes: list[str], lengths: list[int]) -> None:
    """Timings and footprints."""
    from benchmarks.rows import RESULTS, machine, row_of

    rows = RESULTS / "runtimes.json"
    row_of(rows, {"table": "peak"}, lambda: {**_peaks(), "machine": machine()})
    for shape in shapes:
        folder = RUNS / shape
        for seconds in lengths:
            key = {"table": "time", "shape": shape, "seconds": seconds}
            row_of(rows, key, partial(_times, folder, seconds))
            row_of(rows, {**key, "table": "operations"}, partial(_operations, folder, seconds))
        for system in systems():
            if (folder / system.file).exists():
                key = {"table": "footprint", "shape": shape, "system": system.name}
                row_of(rows, key, partial(_apart, folder, system))


def _times(folder: Path, seconds: int) -> dict[str, Any]:
    """Seconds for one utterance, by system: medians over rounds that take turns.

    In two groups, since memory does not hold all of a large shape: 8-bit kernels, and the rest.
    """
    present = [one for one in systems() if (folder / one.file).exists()]
    medians: dict[str, float] = {}
    for group in (False, True):
        together = [one for one in present if one.rounds_inputs == group]
        medians |= taking_turns(
            {one.name: ENGINES[one.engine](folder / one.file) for one in together}, seconds
        )
    for one in present:
        print(f"{folder.name}, {seconds} s: {medians[one.name]:.3f} {one.name}")
    return {"medians": {one.name: medians[one.name] for one in present}}


def _operations(folder: Path, seconds: int) -> dict[str, float]:
    """Multiplications and additions of all matrices, for one utterance."""
    from sottovoce.artifact.packed_model import packed_layers
    from sottovoce.loading import load
    from sottovoce.ptq.arithmetic import multiply_adds

    recogniser = load(folder / "int8-8")
    config = recogniser.model.config
    of_layers = seconds * sum(multiply_adds(recogniser, packed_layers(recogniser.model)).values())
    frames = recogniser.frames_of(seconds * RATE)
    of_attention = 2 * config.num_hidden_layers * config.hidden_size * frames**2
    return {"operations": float(2 * (of_layers + of_attention))}


def taking_turns(runs: Mapping[str, Run], seconds: int) -> dict[str, float]:
    """Median seconds for an utterance of noise, by name."""
    waveform = np.random.default_rng(0).standard_normal((1, seconds * RATE)).astype(np.float32)
    found: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(ROUNDS + 1):
        for name, run in runs.items():
            time.sleep(_REST)
            begun = time.perf_counter()
            run(waveform)
            if turn:  # the first one warms up
                found[name].append(time.perf_counter() - begun)
    return {name: float(np.median(times)) for name, times in found.items()}


def _apart(folder: Path, system: System) -> dict[str, Any]:
    command = [sys.executable, __file__, "--footprint", str(folder / system.file), system.engine]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _footprint(file: Path, engine: str) -> dict[str, float]:
    """Seconds to load, and the most memory of the process, 10 s of audio recognised."""
    waveform = np.zeros((1, 10 * RATE), np.float32)
    begun = time.perf_counter()
    run = ENGINES[engine](file)
    loaded = time.perf_counter() - begun
    run(waveform)
    peak = _peak_of_this_process()
    size = sum(one.stat().st_size for one in _files_of(file))
    return {"load_seconds": loaded, "peak_bytes": peak, "file_bytes": size}


def _peak_of_this_process() -> int:
    """Bytes; getrusage would give what the parent had when it started this one."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _files_of(file: Path) -> Iterator[Path]:
    if file.is_dir():
        yield file / "model.safetensors"
        return
    yield file
    if file.suffix == ".xml":
        yield file.with_suffix(".bin")


def _openvino(precision: str) -> Callable[[Path], Run]:
    def read(file: Path) -> Run:
        import openvino

        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": THREADS,
        }
        core = openvino.Core()
        request = core.compile_model(core.read_model(file), "CPU", settings).create_infer_request()
        return lambda waveform: request.infer([waveform])

    return read


def _onnx_runtime(file: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda waveform: session.run(None, {name: waveform})


def _pytorch(folder: Path) -> Run:
    import torch

    from sottovoce.loading import load

    torch.set_num_threads(THREADS)
    recogniser = load(folder)
    return lambda waveform: recogniser.frame_logits([waveform[0]])


def _pytorch_compiled(folder: Path) -> Run:
    import torch

    from sottovoce.loading import load
    from sottovoce.runtime.compiled_torch import compile_recogniser

    torch.set_num_threads(THREADS)
    return compile_recogniser(load(folder), torch.device("cpu")).run


ENGINES: dict[str, Callable[[Path], Run]] = {
    "PyTorch": _pytorch,
    "PyTorch compiled": _pytorch_compiled,
    "ONNX Runtime": _onnx_runtime,
    "OpenVINO f32": _openvino("f32"),
    "OpenVINO bf16": _openvino("bf16"),
}


def _peaks() -> dict[str, float]:
    """The machine's matrix peaks in OpenVINO, GOP/s."""
    import onnx_ir as ir
    import openvino

    from sottovoce.artifact.packed_layers import PackedLinear
    from sottovoce.exporters.onnx_layers import store_packed
    from sottovoce.quantization.activations import Range
    from sottovoce.quantization.plan import Precision

    def graph(layer: PackedLinear | None) -> bytes:
        inputs = ir.val("x", ir.DataType.FLOAT, [_PEAK, _PEAK])
        numbers = np.random.default_rng(0).standard_normal((_PEAK, _PEAK)).astype(np.float32)
        weight = ir.val("m.weight", const_value=ir.tensor(numbers, name="m.weight"))
        turned = ir.node("Transpose", [weight], {"perm": [1, 0]})
        nodes = [turned] if layer is None else [turned, *_rounding(inputs, layer)]
        seen = inputs if layer is None else nodes[-1].outputs[0]
        product = ir.node("MatMul", [seen, turned.outputs[0]])
        product.outputs[0].name = "y"
        product.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
        made = ir.Graph(
            [inputs],
            product.outputs,
            nodes=[*nodes, product],
            initializers=[weight],
            opset_imports={"": 21},
        )
        if layer is not None:
            store_packed(made, {"m": layer})
        return ir.to_proto(ir.Model(made, ir_version=10)).SerializeToString()

    layer = PackedLinear(_PEAK, _PEAK, Precision(8, input_bits=8))
    layer.codes.random_(0, 255)
    layer.store_range(Range(-3.0, 3.0))
    core, found = openvino.Core(), {}
    data = np.random.default_rng(0).standard_normal((_PEAK, _PEAK)).astype(np.float32)
    for name, content, precision in (
        ("f32", graph(None), "f32"),
        ("bf16", graph(None), "bf16"),
        ("int8", graph(layer), "f32"),
    ):
        settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": THREADS}
        model = core.compile_model(core.read_model(content), "CPU", settings)
        request = model.create_infer_request()
        times = []
        for _ in range(ROUNDS + 1):
            begun = time.perf_counter()
            request.infer([data])
            times.append(time.perf_counter() - begun)
        found[name] = 2 * _PEAK**3 / min(times) / 1e9
    return found


def _rounding(inputs: Any, layer: Any) -> list[Any]:
    """Operators that round a layer's inputs to 8 bits."""
    import onnx_ir as ir

    span = layer.input_scale.numpy()[0], layer.input_zero.numpy().astype(np.uint8)[0]
    constants = [ir.node("Constant", [], {"value": ir.tensor(np.array(one))}) for one in span]
    values = [one.outputs[0] for one in constants]
    codes = ir.node("QuantizeLinear", [inputs, *values])
    return [*constants, codes, ir.node("DequantizeLinear", [codes.outputs[0], *values])]


def build(shape: str) -> None:
    """Models and graphs of a shape; what is there is left."""
    import openvino
    import torch

    from benchmarks.random_speech import BASE, LARGE, random_recogniser
    from sottovoce.exporters.onnx_target import write_onnx, write_onnx_nbits
    from sottovoce.loading import load

    folder = RUNS / shape
    folder.mkdir(parents=True, exist_ok=True)
    made = {"wav2vec2-base": BASE, "hubert-large": LARGE}[shape]

    def there(name: str) -> bool:
        print("" if (folder / name).exists() else f"building {shape}/{name}", flush=True)
        return (folder / name).exists()

    def exported(source: str, name: str, write: Callable[..., Any]) -> None:
        if not there(name):
            scratch = folder / f"{name}.unfinished"
            scratch.mkdir(exist_ok=True)
            write(load(folder / source), scratch)
            (scratch / "model.onnx").rename(folder / name)
            scratch.rmdir()

    if not there("float"):
        recogniser = random_recogniser(made)
        recogniser.model.save_pretrained(folder / "float")
        recogniser.processor.save_pretrained(folder / "float")
    for bits in WIDTHS:
        if not there(f"int8-{bits}"):
            _pack(random_recogniser(made), folder / f"int8-{bits}", bits, inputs=True)
        exported(f"int8-{bits}", f"int8-{bits}.onnx", write_onnx)
    if not there("weights-4"):
        _pack(random_recogniser(made), folder / "weights-4", 4, inputs=False)
    exported("weights-4", "weights-4.onnx", write_onnx)
    exported("weights-4", "nbits-4.onnx", write_onnx_nbits)
    exported("float", "float.onnx", write_onnx)
    if not there("dynamic.onnx"):
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(
            folder / "float.onnx", folder / "dynamic.onnx", weight_type=QuantType.QInt8
        )
    if not there("stock.xml"):  # as OpenVINO converts what transformers has
        recogniser = random_recogniser(made)
        recogniser.model.eval()
        example = torch.zeros(1, RATE)
        model = openvino.convert_model(recogniser.model, example_input=example)
        model.reshape([1, -1])
        openvino.save_model(model, folder / "stock.xml", compress_to_fp16=False)
    if not there("nncf.xml"):
        import nncf

        random = np.random.default_rng(0)
        speech = [random.standard_normal((1, 3 * RATE)).astype(np.float32) for _ in range(3)]
        quantized = nncf.quantize(
            openvino.Core().read_model(folder / "stock.xml"),
            nncf.Dataset(speech),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(speech),
        )
        openvino.save_model(quantized, folder / "nncf.xml", compress_to_fp16=False)


def _pack(recogniser: Any, folder: Path, bits: int, *, inputs: bool) -> None:
    """All layers packed: encoder matrices at `bits`, the rest at 8; with `inputs`, what goes into
    layers and attention's products takes 8 bits."""
    from sottovoce.artifact.attention import quantizable_attentions, quantize_attention
    from sottovoce.artifact.packed_layers import bias_of, empty_packed
    from sottovoce.artifact.writer import write_artifact
    from sottovoce.ptq.attention import find_ranges
    from sottovoce.ptq.layers import quantizable_layers
    from sottovoce.ptq.observing import input_histograms
    from sottovoce.quantization.activations import max_range
    from sottovoce.quantization.plan import Plan, Precision
    from sottovoce.quantization.ranges import initial_affine

    layers, matrices = quantizable_layers(recogniser), recogniser.family.shapes(recogniser.model)
    random = np.random.default_rng(0)
    speech = [random.standard_normal(3 * RATE).astype(np.float32) for _ in range(CALIBRATION)]
    histograms = input_histograms(recogniser, layers, lambda: iter([speech])) if inputs else {}
    if inputs:
        quantize_attention(recogniser.model, quantizable_attentions(recogniser.model))
        find_ranges(recogniser, lambda: iter([speech]))
    plan, packed = {}, {}
    for name, layer in layers.items():
        width = bits if name in matrices else 8
        grid = "half" if width <= 2 else "symmetric"
        plan[name] = Precision(width, grid, input_bits=8 if name in histograms else None)
        affine = initial_affine(layer.weight.detach().flatten(1), plan[name].quantizer, "max")
        packed[name] = empty_packed(layer, plan[name]).store(layer.weight, affine, bias_of(layer))
        if name in histograms:
            packed[name].store_range(max_range(histograms[name]))
    write_artifact(folder, recogniser.model, recogniser.processor, packed, Plan(plan))


if __name__ == "__main__":
    main()
