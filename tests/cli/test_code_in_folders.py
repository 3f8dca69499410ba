"""Code that a folder brings is neither run nor asked for by any command."""

import json
from pathlib import Path

import pytest
from program import save_checkpoint, save_speech, sottovoce

_CODE = {
    "AutoConfig": "its_own.C",
    "AutoModelForCTC": "its_own.M",
    "AutoProcessor": "its_own.P",
    "AutoFeatureExtractor": "its_own.F",
    "AutoTokenizer": ["its_own.T", None],
}
_KINDS = {
    "config.json": "model_type",
    "processor_config.json": "processor_class",
    "tokenizer_config.json": "tokenizer_class",
}


def _with_code(folder: Path, trace: Path) -> Path:
    """The folder with code of its own, which leaves a trace where it runs."""
    for name, kind in _KINDS.items():
        path = folder / name
        if path.exists():
            settings = json.loads(path.read_text())
            path.write_text(json.dumps(settings | {"auto_map": _CODE, kind: "its_own"}))
    (folder / "its_own.py").write_text(f"import os\nos.mkdir({str(trace)!r})\n")
    return folder


def test_no_command_runs_it_or_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def yes(*question: object) -> str:
        asked.append(question)
        return "yes"

    monkeypatch.setattr("builtins.input", yes)
    start, speech = save_checkpoint(tmp_path / "start"), save_speech(tmp_path / "speech")
    small, export, trace = tmp_path / "small", tmp_path / "export", tmp_path / "it ran"
    mixed = ("--method", "mixed", "--bits", 4, "--candidates", "4/symmetric/16")
    ended = sottovoce("quantize", start, "--calibration", speech, "--out", small, *mixed)
    assert ended.status == 0, ended.err
    ended = sottovoce("export", small, "--to", "compressed-tensors", "--out", export)
    assert ended.status == 0, ended.err
    audio, out = speech.with_name("0.wav"), ("--out", tmp_path / "out")
    data = ("--train", speech, "--dev", speech)
    for folder in (start, small, export):
        assert sottovoce("transcribe", folder, audio).status == 0
        _with_code(folder, trace)
        for words in (
            ("transcribe", folder, audio),
            ("evaluate", folder, "--data", speech),
            ("inspect", folder),
            ("export", folder, *out),
            ("finetune", folder, *data, *out),
            ("compress", folder, *data, *out, "--bits", 4),
            ("quantize", folder, "--calibration", speech, *out),
        ):
            ended = sottovoce(*words)
            assert ended.status == 2, words
            assert ended.err.startswith("error: "), words
            assert len(ended.err.splitlines()) == 1, ended.err
            assert "trust_remote_code" not in ended.err
    assert (asked, trace.exists()) == ([], False)
