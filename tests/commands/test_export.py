"""Exports of one tiny model, run by every runtime that is installed."""

import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
import torch
from program import save_checkpoint, save_speech, sottovoce
from tiny import RATE, noise, tiny_model, tiny_processor
from transformers import AutoModelForCTC

from sottovoce.artifact.attention import (
    quantizable_attentions,
    quantize_attention,
    quantized_attentions,
)
from sottovoce.artifact.packed_layers import empty_packed
from sottovoce.artifact.packed_model import packed_layers
from sottovoce.artifact.writer import rewrite_artifact, write_artifact
from sottovoce.errors import InputError
from sottovoce.exporters import onnx_target
from sottovoce.exporters.folder import write_export
from sottovoce.exporters.probe import ROUNDED, Probe
from sottovoce.loading import load, load_checkpoint
from sottovoce.models.families import family_of
from sottovoce.models.weight_norm import fold_weight_norm
from sottovoce.quantization.activations import Range
from sottovoce.quantization.plan import Plan, Precision
from sottovoce.quantization.ranges import initial_affine
from sottovoce.runtime.engines import RUNTIMES, engine_of
from sottovoce.runtime.onnx_runtime import read_graph

WEIGHTS_ONLY = (
    Precision(2, "half"),
    Precision(3, "symmetric", "tensor"),
    Precision(4, "asymmetric", "block", 8, 16),
    Precision(8),
    Precision(1, "half", "block", 6),
    Precision(1.6, "asymmetric"),
    Precision(6, "full"),
)
WITH_INPUTS = tuple(Precision(bits, "symmetric", input_bits=8) for bits in (1.6, 2, 3, 4, 8))
FOR_COMPRESSED_TENSORS = (
    Precision(2, "symmetric"),
    Precision(3, "half", "tensor"),
    Precision(1.6, "half"),
    Precision(4, "full", "block", 8),
    Precision(8),
)
LENGTHS = (0.1, 0.31, 1.0)

pytestmark = pytest.mark.usefixtures("graphs_traced_once")


def artifact(folder, precisions, *, cnns=True, **changes):
    """A packed tiny model whose layers take these precisions in turn.

    With one encoder layer, where two would show no more, it is traced in half of the time.
    """
    model = tiny_model("wav2vec2", **changes).requires_grad_(requires_grad=False)
    family = family_of("wav2vec2")
    names = [*(family.cnns(model) if cnns else ()), *family.shapes(model)]
    plan = Plan({name: precisions[i % len(precisions)] for i, name in enumerate(names)})
    packed = {}
    for name, precision in plan.items():
        layer = model.get_submodule(name)
        fold_weight_norm(layer)
        affine = initial_affine(layer.weight.flatten(1), precision.quantizer, "max")
        packed[name] = empty_packed(layer, precision).store(layer.weight, affine, layer.bias)
        if precision.input_bits:
            packed[name].store_range(Range(-3.0, 3.0))
    if any(one.input_bits for one in precisions):
        quantize_attention(model, quantizable_attentions(model))
        for operands in quantized_attentions(model).values():
            operands.reach([1.0, 1.0, 1.0])
    write_artifact(folder, model, tiny_processor(folder.parent), packed, plan)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory, graphs_traced_once):
    """Artifacts by kind, and what was exported of them."""
    home = tmp_path_factory.mktemp("exports")
    made = {
        "weights": artifact(home / "weights", WEIGHTS_ONLY, num_hidden_layers=1),
        "inputs": artifact(home / "inputs", WITH_INPUTS),
        "linear": artifact(
            home / "linear", FOR_COMPRESSED_TENSORS, cnns=False, num_hidden_layers=1
        ),
    }
    for kind, target in (
        ("weights", "onnx"),
        ("inputs", "onnx"),
        ("weights", "openvino"),
        ("linear", "compressed-tensors"),
    ):
        made[kind, target] = home / f"{kind}-{target}"
        write_export(load(made[kind]), target, made[kind, target])
    return made


def graphs_in(cache):
    return list((cache / "sottovoce").glob("*-onnx-*"))


@pytest.fixture
def kept_graphs(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.kernels
@pytest.mark.parametrize(
    ("kind", "target", "runtime"),
    [
        ("weights", "onnx", "onnx"),
        ("weights", "onnx", "openvino"),
        ("weights", "openvino", "openvino"),
        ("weights", "openvino", "auto"),
        ("inputs", "onnx", "onnx"),
        ("inputs", "onnx", "openvino"),
        ("weights", "openvino", "openvino-bf16"),
    ],
)
def test_a_graph_gives_the_logits_of_the_packed_model_at_every_length(
    folders, kind, target, runtime
):
    expected, found = load(folders[kind]), engine_of(folders[kind, target], runtime)
    waveforms = [noise(seconds, seed) for seed, seconds in enumerate(LENGTHS)]
    for one, other in zip(
        expected.frame_logits(waveforms), found.frame_logits(waveforms), strict=True
    ):
        # A number that lies between two codes may go to either: a step of 8-bit inputs.
        exact = kind == "weights" and runtime != "openvino-bf16"
        np.testing.assert_allclose(other, one, atol=2e-5 if exact else 2e-2)
        assert len(one) == len(other)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_an_utterance_of_one_frame_spoils_none_that_follow(folders, runtime):
    """OpenVINO made its attention for one frame then, and used it for all that followed."""
    expected, found = load(folders["weights"]), engine_of(folders["weights", "onnx"], runtime)
    waveforms = [noise(1.0)[: found.shortest], noise(1.0)]
    first, second = found.frame_logits(waveforms)
    assert len(first) == 1
    np.testing.assert_allclose(second, expected.frame_logits(waveforms)[1], atol=2e-5)


def test_layers_with_the_same_inputs_share_their_rounding(folders):
    model = load(folders["inputs"]).model
    nodes = onnx.load(folders["inputs", "onnx"] / "model.onnx").graph.node
    roundings = sum(node.op_type == "QuantizeLinear" for node in nodes)
    shared = 2 * model.config.num_hidden_layers  # what queries, keys and values are made of has one
    of_attention = 4 * model.config.num_hidden_layers  # their own, and the probabilities'
    assert roundings == len(packed_layers(model)) - shared + of_attention


def test_frames_are_counted_as_the_model_counts_them(folders):
    expected, found = load(folders["weights"]), engine_of(folders["weights", "onnx"], "onnx")
    lengths = range(1, 3000, 7)
    assert [found.frames_of(n) for n in lengths] == [expected.frames_of(n) for n in lengths]
    assert found.shortest == expected.shortest


def test_weights_stay_packed_in_the_file(folders):
    packed = {
        name: layer.codes.numel()
        for name, layer in load(folders["weights"]).model.named_modules()
        if hasattr(layer, "codes")
    }
    graph = onnx.load(folders["weights", "onnx"] / "model.onnx").graph
    stored = {one.name: len(one.raw_data) for one in graph.initializer}
    for name, size in packed.items():
        # rows are padded to whole bytes in one, whole planes in the other
        own = sum(bytes_ for key, bytes_ in stored.items() if key.startswith(f"{name}.codes"))
        assert 0 < own <= size + 8
        assert f"{name}.weight" not in stored
    binary = (folders["weights", "openvino"] / "model.bin").stat().st_size
    assert binary < 1.1 * sum(stored.values()) + 2000


@pytest.mark.parametrize("kind", ["weights", "inputs"])
def test_nothing_is_in_the_file_that_no_operator_reads(folders, kind):
    """ONNX Runtime warns of each."""
    graph = onnx.load(folders[kind, "onnx"] / "model.onnx").graph
    read = {name for node in graph.node for name in node.input} | {"logits"}
    assert {name for node in graph.node for name in node.output} <= read
    assert {one.name for one in graph.initializer} <= read


def test_a_batch_of_one_length(folders):
    session = onnxruntime.InferenceSession(folders["weights", "onnx"] / "model.onnx")
    both = np.stack([noise(0.5, seed) for seed in (0, 1)])
    together = session.run(["logits"], {"waveforms": both})[0]
    alone = [session.run(["logits"], {"waveforms": one[None]})[0][0] for one in both]
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-5)


@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_the_program_in_the_readme_needs_nothing_of_sottovoce(folders, tmp_path, target):
    folder = folders["weights", target]
    readme = (folder / "README.md").read_text()
    code = readme.split("```python\n")[1].split("```")[0]
    soundfile.write(tmp_path / "one.wav", noise(0.5), RATE)
    ended = subprocess.run(
        [sys.executable, "-c", code + "\nassert 'torch' not in sys.modules", tmp_path / "one.wav"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    waveform = soundfile.read(tmp_path / "one.wav", dtype="float32")[0]
    assert ended.stdout.rstrip("\n") == load(folders["weights"]).recognise([waveform])[0]


def test_stock_transformers_computes_the_same_bits(folders):
    expected = load(folders["linear"]).model
    found = AutoModelForCTC.from_pretrained(folders["linear", "compressed-tensors"]).eval()
    assert not type(found).__module__.startswith("sottovoce")
    inputs = torch.from_numpy(noise(0.5))[None]
    with torch.inference_mode():
        assert torch.equal(found(inputs).logits, expected(inputs).logits)


@pytest.mark.parametrize("exported", [("weights", "onnx"), ("linear", "compressed-tensors")])
def test_an_export_is_only_run(folders, tmp_path, exported):
    speech, out = save_speech(tmp_path / "speech"), ("--out", tmp_path / "out")
    given, calibration = folders[exported], ("--calibration", speech)
    of_packed = [
        ("inspect", given),
        ("export", given, *out),
        ("calibrate", given, *calibration, *out),
    ]
    for words in of_packed:
        ended = sottovoce(*words)
        assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1)
        assert f"{given} is an export, which only evaluate, compare and transcribe run" in ended.err
    kind = {"onnx": "an export", "compressed-tensors": "compressed already"}[exported[1]]
    learning = ("--train", speech, "--dev", speech)
    for words in (("compress", *learning), ("finetune", *learning), ("quantize", *calibration)):
        ended = sottovoce(words[0], given, *words[1:], *out)
        assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1)
        assert f"{given} is {kind}" in ended.err, words


def test_what_another_quantizer_packed_is_no_start_point(folders):
    packed = folders["linear", "compressed-tensors"]
    with pytest.raises(InputError, match="compressed already; give the full-precision"):
        load_checkpoint(packed)
    assert load(packed).recognise([noise(0.5)])


def test_convolutions_go_out_in_floating_point_and_it_is_said(folders, tmp_path):
    packed = artifact(tmp_path / "packed", (Precision(8),))
    notes = write_export(load(packed), "compressed-tensors", tmp_path / "exported")
    assert any(note.startswith("in floating point: 4 layers, convolutions and") for note in notes)
    found = AutoModelForCTC.from_pretrained(tmp_path / "exported").eval()
    inputs = torch.from_numpy(noise(0.5))[None]
    with torch.inference_mode():
        difference = found(inputs).logits - load(packed).model(inputs).logits
    assert difference.abs().max() < 1e-5  # the weight norm is multiplied out again


@pytest.mark.parametrize(
    ("precision", "why"),
    [
        (Precision(4, "asymmetric"), "has offsets"),
        (Precision(8, input_bits=8), "has 8-bit inputs"),
        (Precision(4, "symmetric", "block", 7), "wants whole blocks"),
    ],
)
def test_what_compressed_tensors_cannot_express_is_named(tmp_path, precision, why):
    packed = artifact(tmp_path / "packed", (precision,), cnns=False)
    with pytest.raises(InputError, match=rf"layer 'wav2vec2\.encoder\.layers\.0.*{why}"):
        write_export(load(packed), "compressed-tensors", tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_compressed_tensors_cannot_express_rounded_attention(tmp_path):
    model = load(artifact(tmp_path / "packed", (Precision(8),), cnns=False)).model
    quantize_attention(model, quantizable_attentions(model))
    rewrite_artifact(tmp_path / "rounded", model, tiny_processor(tmp_path))
    with pytest.raises(InputError, match=r"attention 'wav2vec2\.encoder\.layers\.0\..* has"):
        write_export(load(tmp_path / "rounded"), "compressed-tensors", tmp_path / "exported")


def test_attention_that_alone_is_rounded_need_not_agree_exactly(tmp_path):
    """A number between two codes may go to either there too."""
    model = load(artifact(tmp_path / "packed", (Precision(8),), num_hidden_layers=1)).model
    quantize_attention(model, quantizable_attentions(model))
    for operands in quantized_attentions(model).values():
        operands.reach([0.5, 0.5, 0.5])
    rewrite_artifact(tmp_path / "rounded", model, tiny_processor(tmp_path))
    ended = sottovoce("export", tmp_path / "rounded", "--to", "onnx", "--out", tmp_path / "out")
    assert ended.status == 0, ended.err
    assert Probe.read(tmp_path / "out").tolerance == ROUNDED


def test_export_tells_its_size_and_that_the_texts_are_the_same(folders, tmp_path):
    speech, out = save_speech(tmp_path / "speech"), tmp_path / "out"
    ended = sottovoce("export", folders["weights"], "--out", out, "--check", speech)
    assert ended.status == 0, ended.err
    size = (out / "model.onnx").stat().st_size
    assert f"written: {out}, {size / 1e6:.2f} MB" in ended.out
    assert "texts: the same in 8 of 8 utterances" in ended.out


def test_an_utterance_that_reads_differently_is_listed(folders, tmp_path, monkeypatch):
    speech, out = save_speech(tmp_path / "speech"), tmp_path / "out"
    shutil.copytree(folders["inputs", "onnx"], tmp_path / "another")
    monkeypatch.setattr(
        "sottovoce.commands.export.engine_of", lambda _: engine_of(tmp_path / "another")
    )
    ended = sottovoce("export", folders["weights"], "--out", out, "--check", speech)
    different = 8 - int(ended.out.split("texts: the same in ")[1].split(" of")[0])
    assert different == ended.out.count("PyTorch: ") > 0


def test_a_graph_is_traced_once_for_the_same_weights(folders, kept_graphs, tmp_path, monkeypatch):
    traces = []
    original = onnx_target.trace
    monkeypatch.setattr(onnx_target, "trace", lambda one: traces.append(1) or original(one))
    speech = save_speech(tmp_path / "speech")
    runs = [
        sottovoce("evaluate", folders["weights"], "--data", speech, "--runtime", runtime)
        for runtime in ("torch", "onnx", "openvino")
    ]
    assert [run.status for run in runs] == [0, 0, 0], runs
    assert len({run.out.splitlines()[0] for run in runs}) == 1  # the same words
    assert [run.out.rstrip().rsplit(" ", 1)[1] for run in runs] == ["cpu", "onnx", "openvino"]
    assert len(traces) == 1
    assert len(graphs_in(kept_graphs)) == 1


def test_compare_takes_what_evaluate_takes(folders, kept_graphs, tmp_path):
    """A checkpoint against exported folders, and one runtime for both."""
    start, speech = (
        save_checkpoint(tmp_path / "start", num_hidden_layers=1),
        save_speech(tmp_path / "speech"),
    )
    data = ("--data", speech)
    for kind, target in (("weights", "openvino"), ("linear", "compressed-tensors")):
        scores = tmp_path / kind
        assert sottovoce("evaluate", folders[kind], *data, "--out", scores).status == 0
        expected = sottovoce("compare", start, scores / "hypothesis.trn", *data)
        assert expected.status == 0 and " 0 segments" not in expected.out
        found = sottovoce("compare", start, folders[kind, target], *data)
        assert (found.status, found.out) == (0, expected.out), found.err

    assert not graphs_in(kept_graphs)
    words = ("compare", start, folders["weights"], *data)
    assert sottovoce(*words, "--runtime", "onnx").out == sottovoce(*words).out
    assert len(graphs_in(kept_graphs)) == 2
    ended = sottovoce("compare", start, folders["weights", "openvino"], *data, "--runtime", "onnx")
    assert ended.status == 2
    assert "was exported to openvino, which is run by openvino" in ended.err


def test_transcribe_runs_an_exported_folder(folders, tmp_path):
    soundfile.write(tmp_path / "one.wav", noise(0.5), RATE)
    texts = [
        sottovoce("transcribe", folder, tmp_path / "one.wav")
        for folder in (folders["weights"], folders["weights", "openvino"])
    ]
    assert [one.status for one in texts] == [0, 0], texts
    assert texts[0].out == texts[1].out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--runtime", "tensorrt"], "runtime is 'tensorrt'; it must be one of auto, torch"),
        (["--runtime", "torch"], "was exported to openvino, which is run by openvino"),
        (["--runtime", "torch-compiled"], "was exported to openvino, which is run by openvino"),
        (["--runtime", "onnx"], "was exported to openvino, which is run by openvino"),
    ],
)
def test_a_runtime_that_does_not_fit_is_refused(folders, tmp_path, words, message):
    speech = save_speech(tmp_path / "speech")
    ended = sottovoce("evaluate", folders["weights", "openvino"], "--data", speech, *words)
    assert ended.status == 2 and message in ended.err


@pytest.mark.parametrize(
    ("kind", "target"),
    [("weights", "onnx-nbits"), ("linear", "openvino"), ("linear", "compressed-tensors")],
)
def test_the_command_exports_to_every_target_and_runs_the_export(folders, tmp_path, kind, target):
    ended = sottovoce("export", folders[kind], "--to", target, "--out", tmp_path / "out")
    assert ended.status == 0, ended.err
    difference = float(ended.out.split("logits differ from PyTorch's by ")[1].split()[0])
    assert difference < 1e-4
    soundfile.write(tmp_path / "one.wav", noise(0.5), RATE)
    texts = [
        sottovoce("transcribe", folder, tmp_path / "one.wav").out
        for folder in (folders[kind], tmp_path / "out")
    ]
    assert texts[0] == texts[1]


def test_an_export_that_computes_something_else_is_an_error(folders, tmp_path, monkeypatch):
    for name, runtime in RUNTIMES.items():
        wrong = dataclasses.replace(runtime, reader=f"{__name__}.wrong_graph")
        monkeypatch.setitem(RUNTIMES, name, wrong)
    ended = sottovoce("export", folders["weights"], "--out", tmp_path / "out")
    assert ended.status == 2 and "computes other logits" in ended.err
    assert ended.err.splitlines()[-1].endswith("nothing is written")
    assert list(tmp_path.iterdir()) == []


def wrong_graph(file):
    """A runtime that returns other numbers."""
    right = read_graph(file)
    return lambda inputs: -right(inputs)


def test_where_one_runtime_is_wrong_here_the_export_is_judged_by_the_next(
    folders, tmp_path, monkeypatch
):
    wrong = dataclasses.replace(RUNTIMES["openvino"], reader=f"{__name__}.wrong_graph")
    monkeypatch.setitem(RUNTIMES, "openvino", wrong)
    ended = sottovoce("export", folders["weights"], "--out", tmp_path / "out")
    assert ended.status == 0 and "trying the next runtime" in ended.err


def test_a_kept_graph_is_of_the_same_model_in_every_respect(folders, kept_graphs, tmp_path):
    """Weights, architecture, plan and vocabulary: what differs in one of them is traced anew."""
    copies = {name: tmp_path / name for name in ("same", "activation", "vocabulary")}
    for copied in copies.values():
        shutil.copytree(folders["weights"], copied)
    config = json.loads((copies["activation"] / "config.json").read_text())
    config["hidden_act"] = "relu"
    (copies["activation"] / "config.json").write_text(json.dumps(config))
    vocabulary = json.loads((copies["vocabulary"] / "vocab.json").read_text())
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    (copies["vocabulary"] / "vocab.json").write_text(json.dumps(vocabulary))
    waveform = [noise(0.5)]
    for number, folder in enumerate((folders["weights"], *copies.values())):
        torch_engine, graph_engine = engine_of(folder, "torch"), engine_of(folder, "onnx")
        one, other = (each.frame_logits(waveform)[0] for each in (torch_engine, graph_engine))
        np.testing.assert_allclose(other, one, atol=2e-5)
        assert torch_engine.labels.written == graph_engine.labels.written
        assert len(graphs_in(kept_graphs)) == (1, 1, 2, 3)[number]


def test_a_damaged_kept_graph_is_made_anew(folders, kept_graphs):
    engine_of(folders["weights"], "onnx")
    file = next((kept_graphs / "sottovoce").glob("*/model.onnx"))
    file.write_bytes(b"no graph")
    engine_of(folders["weights"], "onnx").frame_logits([noise(0.2)])


def test_an_unknown_target_is_refused(folders, tmp_path):
    ended = sottovoce("export", folders["weights"], "--to", "coreml", "--out", tmp_path / "out")
    assert ended.status == 2
    assert (
        "no target 'coreml'; choose of onnx, onnx-nbits, openvino, compressed-tensors" in ended.err
    )


def test_a_runtime_that_is_not_installed_is_named_with_its_extra(folders, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"openvino is not installed; pip install 'sottovoce\[o"):
        engine_of(folders["weights", "onnx"], "openvino")


def test_a_target_whose_package_is_missing_is_named_with_its_extra(folders, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "sottovoce.exporters.openvino_target", raising=False)
    with pytest.raises(InputError, match=r"is not installed; pip install 'sottovoce\[openvino\]'"):
        write_export(load(folders["weights"]), "openvino", tmp_path / "out")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("model.onnx", b"no graph", "cannot read .*model.onnx"),
        ("export.json", b"{", "export.json is damaged"),
        ("export.json", b"{}", "export.json is damaged"),
    ],
)
def test_a_damaged_export_is_refused(folders, tmp_path, file, content, message):
    folder = tmp_path / "damaged"
    shutil.copytree(folders["weights", "onnx"], folder)
    (folder / file).write_bytes(content)
    with pytest.raises(InputError, match=message):
        engine_of(folder, "onnx")


@pytest.mark.parametrize(
    ("fact", "value"), [("shortest", "400"), ("hop", 320.5), ("input", 1), ("written", 3)]
)
def test_an_export_whose_facts_are_of_other_types_is_refused(folders, tmp_path, fact, value):
    folder = tmp_path / "damaged"
    shutil.copytree(folders["weights", "onnx"], folder)
    facts = json.loads((folder / "export.json").read_text())
    (folder / "export.json").write_text(json.dumps({**facts, fact: value}))
    with pytest.raises(InputError, match=r"export\.json is damaged: .*; export the model again"):
        engine_of(folder, "onnx")


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_graph_that_cannot_be_run_is_one_sentence(folders, runtime):
    engine = engine_of(folders["weights", "onnx"], runtime)
    with pytest.raises(InputError, match=r"cannot run .*model\.onnx: .*; see that there is memory"):
        engine.run(np.zeros((1, 2, 3, 4), np.float32))


def test_the_metadata_of_the_file_is_what_the_folder_says(folders):
    folder = folders["weights", "onnx"]
    facts = json.loads((folder / "export.json").read_text())
    graph = onnx.load(folder / "model.onnx")
    inside = {one.key: json.loads(one.value) for one in graph.metadata_props}
    assert {name: facts[name] for name in inside} == inside
    assert len(inside) == len(facts) - 2  # target and model type


@pytest.mark.parametrize(
    "content",
    [b"[]", b"[" * 100_000, b"\xff", b'{"target": "onnx"}'],
    ids=["no object", "deep", "no text", "incomplete"],
)
def test_facts_that_are_none_are_refused(folders, tmp_path, content):
    folder = tmp_path / "damaged"
    shutil.copytree(folders["weights", "onnx"], folder)
    (folder / "export.json").write_bytes(content)
    with pytest.raises(InputError, match=r"export\.json is damaged: .*; export the model again"):
        engine_of(folder, "onnx")


@pytest.mark.parametrize(
    ("fact", "value"),
    [("shortest", 10**18), ("hop", 0), ("hop", -320), ("sampling_rate", 0), ("blank", 99)],
)
def test_absurd_facts_are_refused(folders, tmp_path, fact, value):
    folder = tmp_path / "absurd"
    shutil.copytree(folders["weights", "onnx"], folder)
    facts = json.loads((folder / "export.json").read_text())
    (folder / "export.json").write_text(json.dumps({**facts, fact: value}))
    with pytest.raises(InputError, match=rf"{fact} is {value}; it must lie between"):
        engine_of(folder, "onnx")
