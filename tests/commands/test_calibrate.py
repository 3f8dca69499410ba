"""`sottovoce calibrate` on tiny compressed recognisers."""

import json
import shutil

import numpy as np
import pytest
from program import save_checkpoint, save_speech, sottovoce
from safetensors.numpy import load_file

from sottovoce.artifact.attention import quantized_attentions
from sottovoce.commands import calibrate as calibration
from sottovoce.commands.prepared import MEASURED_ON_CALIBRATION
from sottovoce.loading import load
from sottovoce.ptq import attention, sweep
from sottovoce.ptq.sweep import Change, recognitions
from sottovoce.record import RunRecord


@pytest.fixture(scope="module")
def quantized(tmp_path_factory, one_thread):
    """A start point, speech, and what became of it with mixed widths."""
    home = tmp_path_factory.mktemp("quantized")
    start = save_checkpoint(home / "start", "wav2vec2", initializer_range=0.2)
    save_speech(home / "speech", 6)
    ended = sottovoce(
        *("quantize", start, "--calibration", home / "speech" / "speech.jsonl"),
        *("--method", "mixed", "--bits", 4, "--out", home / "small"),
    )
    assert ended.status == 0, ended.err
    return home


@pytest.fixture
def place(quantized, tmp_path):
    return shutil.copytree(quantized, tmp_path, dirs_exist_ok=True)


def run(place, *more, model="small"):
    return sottovoce(
        *("calibrate", place / model, "--calibration", place / "speech" / "speech.jsonl"),
        *("--out", place / "int8", *more),
    )


def test_weights_stay_and_inputs_get_a_range(place, monkeypatch):
    monkeypatch.setattr(sweep, "CHANGES_AT_MOST", np.inf)
    ended = run(place)
    assert ended.status == 0, ended.err
    before, after = (load_file(place / name / "model.safetensors") for name in ("small", "int8"))
    assert all(np.array_equal(after[name], tensor) for name, tensor in before.items())
    added = after.keys() - before.keys()
    layers = {name.removesuffix(".codes") for name in before if name.endswith(".codes")}
    attentions = {f"wav2vec2.encoder.layers.{depth}.attention.operands.scale" for depth in (0, 1)}
    assert added == attentions | {
        f"{one}.input_{part}" for one in layers for part in ("scale", "zero")
    }
    assert "Against input: small:" in ended.out
    record = RunRecord.from_json(json.loads((place / "int8" / "metrics.json").read_text()))
    assert record.notes == (
        MEASURED_ON_CALIBRATION,
        "Attention's products: 8-bit operands in 2 of 2 layers.",
    )
    assert [one.name for one in record.systems] == ["input: small", "compressed"]
    assert (place / "int8" / "report.html").exists()


def test_dev_speech_that_calibrated_too_is_named(place):
    """Under another path: a flag that is given proves nothing."""
    again = place / "again"
    save_speech(again, 6)
    ended = run(place, "--dev", again / "speech.jsonl")
    assert ended.status == 0, ended.err
    record = RunRecord.from_json(json.loads((place / "int8" / "metrics.json").read_text()))
    assert "u0, u1, u2, ...; test on speech that was not learnt from" in record.notes[0]


def test_layers_that_change_words_keep_floating_point_and_are_named(place, monkeypatch):
    monkeypatch.setattr(calibration, "changed_word_rate", lambda *_: Change(9, 9))
    ended = run(place)
    assert ended.status == 0, ended.err
    model = load(place / "int8").model
    assert not any(hasattr(one, "input_scale") for one in model.modules())
    assert ", since rounding would change more than" in ended.out
    assert "wav2vec2.feature_extractor.conv_layers.0.conv" in ended.out


def test_layers_that_8_bit_kernels_cannot_multiply_are_left_and_named(place):
    ended = sottovoce(
        *(
            "quantize",
            place / "start",
            "--calibration",
            place / "speech" / "speech.jsonl",
            "--method",
            "mixed",
        ),
        *("--bits", 4, "--candidates", "4/asymmetric", "--out", place / "offsets"),
    )
    assert ended.status == 0, ended.err
    ended = run(place, model="offsets")
    assert ended.status == 0, ended.err
    assert (
        "Floating-point inputs in 12 layers, since 8-bit kernels cannot multiply the weights: "
        in ended.out
    )
    kinds = {
        (one.precision.grid, one.precision.input_bits)
        for one in load(place / "int8").model.modules()
        if hasattr(one, "codes")
    }
    assert ("asymmetric", 8) not in kinds


@pytest.mark.parametrize(
    ("model", "more", "message"),
    [
        ("start", (), "is not compressed; `sottovoce quantize` takes full precision"),
        ("small", ("--rule", "best"), "rule is 'best'; it must be one of minmax"),
        ("nowhere", (), "there is no such folder"),
    ],
)
def test_bad_input_is_one_sentence(place, model, more, message):
    ended = run(place, *more, model=model)
    assert ended.status == 2 and message in ended.err
    assert not (place / "int8").exists()


def test_a_second_calibration_is_refused(place, monkeypatch):
    monkeypatch.setattr(sweep, "CHANGES_AT_MOST", np.inf)
    assert run(place).status == 0
    ended = sottovoce(
        *("calibrate", place / "int8", "--calibration", place / "speech" / "speech.jsonl"),
        *("--out", place / "again"),
    )
    assert ended.status == 2 and "has 8-bit inputs already" in ended.err


def test_layers_that_change_words_only_together_are_found_by_bisection(place, monkeypatch):
    """All together change words, fewer change none: the most divergent keeps floating point."""
    heard = []

    def changed(*_):
        heard.append(1)
        return Change(9 * (len(heard) == 1), 9)

    monkeypatch.setattr(calibration, "changed_word_rate", changed)
    recogniser = load(place / "small")
    packed = [name for name, one in recogniser.model.named_modules() if hasattr(one, "codes")]
    trials = len(calibration._trials(recogniser, packed))
    ended = run(place)
    assert ended.status == 0, ended.err
    assert ", since rounding would change more than" in ended.out
    assert 1 < len(heard) <= recognitions(trials)


def test_an_interrupted_calibration_goes_on_and_ends_as_one_that_was_not(place, monkeypatch):
    """What was tried is not tried again."""
    heard = []

    def counted(*given):
        heard.append(1)
        if len(heard) == 3:
            raise KeyboardInterrupt
        return Change(9, 9)  # whatever is rounded changes words: the bisection goes to its end

    with monkeypatch.context() as patched:
        patched.setattr(calibration, "changed_word_rate", counted)
        assert run(place).status != 0
        refused = run(place)
        assert refused.status == 2
        assert refused.err.endswith(" --resume (or delete it)\n")
        assert run(place, "--resume").status == 0
        tried, heard[:] = len(heard), [0] * 3
        assert run(place, "--out", place / "whole").status == 0
    assert tried == len(heard) - 3 + 1  # the one that was interrupted
    for name in ("model.safetensors", "config.json", "compressed.trn"):
        assert (place / "int8" / name).read_bytes() == (place / "whole" / name).read_bytes()
    assert not list(place.glob("*.unfinished"))


def test_a_place_that_cannot_be_written_is_told_before_anything_runs(place, monkeypatch):
    monkeypatch.setattr(calibration, "evaluate_recogniser", None)
    taken = place / "speech" / "speech.jsonl"
    ended = run(place, "--out", taken / "int8")
    assert ended.status == 2
    assert ended.err.strip() == (
        f"error: {taken / 'int8'} cannot be written: {taken} is a file; choose another --out"
    )


def test_attention_may_keep_floating_point(place, monkeypatch):
    monkeypatch.setattr(sweep, "CHANGES_AT_MOST", np.inf)
    ended = run(place, "--float-attention")
    assert ended.status == 0, ended.err
    assert "Attention's products: 8-bit operands in 0 of 2 layers." in ended.out
    assert not quantized_attentions(load(place / "int8").model)


def test_an_attention_that_changes_words_keeps_floating_point(place, monkeypatch):
    """The one of two that diverges more, where both together change words."""
    changes = iter([Change(9, 9), Change(0, 9)])  # of both, of the one that diverges less
    diverging = {f"wav2vec2.encoder.layers.{depth}.attention": 2.0 - depth for depth in (0, 1)}
    monkeypatch.setattr(attention, "changed_word_rate", lambda *_: next(changes))
    monkeypatch.setattr(attention, "budgeted_divergences", lambda *_: diverging)
    ended = run(place)
    assert ended.status == 0, ended.err
    assert list(quantized_attentions(load(place / "int8").model)) == [
        "wav2vec2.encoder.layers.1.attention"
    ]
    assert "Attention's products: 8-bit operands in 1 of 2 layers." in ended.out


def test_inspect_tells_of_attention(place, monkeypatch):
    monkeypatch.setattr(sweep, "CHANGES_AT_MOST", np.inf)
    assert run(place).status == 0
    told = "Attention's products: 8-bit operands in 2 of 2 layers."
    assert told in sottovoce("inspect", place / "int8").out
    assert "Attention" not in sottovoce("inspect", place / "small").out


def test_rounded_attention_is_not_calibrated_again(place, monkeypatch):
    """Even where no layer has 8-bit inputs."""
    with monkeypatch.context() as patched:
        patched.setattr(calibration, "changed_word_rate", lambda *_: Change(9, 9))
        patched.setattr(attention, "changed_word_rate", lambda *_: Change(0, 9))
        assert run(place).status == 0
    ended = sottovoce(
        *("calibrate", place / "int8", "--calibration", place / "speech" / "speech.jsonl"),
        *("--out", place / "again"),
    )
    assert ended.status == 2 and "has 8-bit inputs already" in ended.err
