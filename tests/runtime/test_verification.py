"""Graphs are compared with their models where they run."""

import dataclasses
import shutil

import numpy as np
import pytest
from tiny import noise, tiny_recogniser

from sottovoce.errors import InputError
from sottovoce.exporters.folder import write_export
from sottovoce.exporters.probe import PROBE_FILE
from sottovoce.runtime import processor
from sottovoce.runtime.engines import RUNTIMES, engine_of
from sottovoce.runtime.onnx_runtime import read_graph
from sottovoce.runtime.processor import ISA_LIMIT


def wrong_graph(file):
    """A runtime that returns other numbers."""
    right = read_graph(file)
    return lambda inputs: right(inputs)[:, ::-1]


def counting_graph(file):
    right = read_graph(file)

    def run(inputs):
        counting_graph.runs += 1
        return right(inputs)

    return run


@pytest.fixture(scope="module")
def exported(tmp_path_factory, graphs_traced_once):
    home = tmp_path_factory.mktemp("verification")
    write_export(tiny_recogniser(home, num_hidden_layers=1), "onnx", home / "exported")
    return home / "exported"


@pytest.fixture
def folder(exported, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return shutil.copytree(exported, tmp_path / "exported")


def read_by(monkeypatch, name, reader):
    changed = dataclasses.replace(RUNTIMES[name], reader=f"{__name__}.{reader}")
    monkeypatch.setitem(RUNTIMES, name, changed)


def test_auto_takes_the_next_runtime_and_says_so_in_one_line(folder, monkeypatch, capsys):
    read_by(monkeypatch, "openvino", "wrong_graph")
    engine = engine_of(folder)
    assert engine.place == "onnx"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: openvino (openvino ")
    assert "computes other logits than the model on this processor" in line
    assert line.endswith("trying the next runtime")


def test_a_runtime_asked_for_by_name_refuses(folder, monkeypatch):
    read_by(monkeypatch, "openvino", "wrong_graph")
    mend = rf"--runtime torch, or set {ISA_LIMIT}=AVX512_CORE_VNNI"
    with pytest.raises(InputError, match=mend):
        engine_of(folder, "openvino")
    assert engine_of(folder, "onnx").place == "onnx"


def test_where_no_runtime_is_right_auto_refuses(folder, monkeypatch, capsys):
    for name in ("openvino", "onnx", "openvino-bf16"):
        read_by(monkeypatch, name, "wrong_graph")
    with pytest.raises(InputError, match="computes other logits"):
        engine_of(folder)
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_right_answer_is_remembered_for_the_graph_and_the_processor(folder, monkeypatch):
    read_by(monkeypatch, "openvino", "counting_graph")
    counting_graph.runs = 0
    engine_of(folder, "openvino")
    assert counting_graph.runs == 1
    engine_of(folder, "openvino")
    assert counting_graph.runs == 1
    monkeypatch.setenv(ISA_LIMIT, "AVX2")  # an older processor, as oneDNN sees it
    engine_of(folder, "openvino")
    assert counting_graph.runs == 2
    (folder / "model.onnx").touch()
    engine_of(folder, "openvino")
    assert counting_graph.runs == 3


def test_a_wrong_answer_is_not_remembered(folder, monkeypatch):
    read_by(monkeypatch, "openvino", "wrong_graph")
    for _ in range(2):
        with pytest.raises(InputError, match="computes other logits"):
            engine_of(folder, "openvino")


def test_what_cannot_be_remembered_is_checked_anew(folder, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert engine_of(folder, "onnx").frame_logits([noise(0.2)])


def test_an_export_without_its_answer_is_refused(folder):
    (folder / PROBE_FILE).unlink()
    with pytest.raises(InputError, match=r"has no probe\.safetensors.*export the model again"):
        engine_of(folder, "onnx")


@pytest.mark.parametrize(
    ("flags", "int8"),
    [
        ("sse avx2 avx512bw avx512_vnni amx_int8", "amx_int8"),
        ("sse avx2 avx512bw avx512_vnni", "avx512_vnni"),
        ("sse avx2 avx_vnni", "avx_vnni"),
        ("sse avx2", "avx2"),
        ("fp asimd asimddp", "asimddp"),
        ("", "unknown"),
    ],
)
def test_the_processor_names_how_it_multiplies_8_bit_numbers(monkeypatch, flags, int8):
    monkeypatch.setattr(processor, "_cpuinfo", lambda: ("A maker's CPU", frozenset(flags.split())))
    assert processor.processor().int8 == int8
    assert str(processor.processor()).startswith(f"A maker's CPU (int8: {int8}")


def test_logits_of_the_right_runtime_pass_through(folder):
    assert np.isfinite(engine_of(folder, "onnx").frame_logits([noise(0.2)])[0]).all()
