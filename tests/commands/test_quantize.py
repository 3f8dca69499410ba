"""`sottovoce quantize` on tiny recognisers."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from program import Ended, save_checkpoint, save_speech, sottovoce, write_manifest
from safetensors.numpy import load_file
from tiny import FAMILIES, noise

from sottovoce.commands import quantize as posttraining
from sottovoce.config.post_training import METHODS
from sottovoce.errors import Interrupted
from sottovoce.loading import load
from sottovoce.ptq import sweep
from sottovoce.ptq.sweep import Change
from sottovoce.record import RunRecord

NEVER_CALLED = {"wavlm": ".attention.", "wav2vec2-conformer": ".pos_conv_embed."}


class _Place:
    def __init__(self, folder: Path, family: str = "wav2vec2") -> None:
        self.folder = folder
        self.start = save_checkpoint(folder / "start", family, initializer_range=0.2)
        self.speech = save_speech(folder / "speech", 6)
        self.out = folder / "small"

    def run(self, *options: object) -> Ended:
        return sottovoce(
            *("quantize", self.start, "--calibration", self.speech, "--out", self.out, *options)
        )

    @property
    def record(self) -> RunRecord:
        return RunRecord.from_json(json.loads((self.out / "metrics.json").read_text()))

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        return load_file(self.out / "model.safetensors")


@pytest.fixture
def place(tmp_path: Path, one_thread: None) -> _Place:
    return _Place(tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_adaptive_stores_a_byte_a_weight_and_a_range_a_layer(
    tmp_path: Path, one_thread: None, family: str
) -> None:
    place = _Place(tmp_path, family)
    ended = place.run("--no-float-inputs")
    assert ended.status == 0, ended.err
    record, tensors = place.record, place.tensors
    layers = [*record.layers, *record.cnns]
    assert all(row.bits == 8 for row in layers)
    for row in layers:
        assert tensors[f"{row.layer}.codes"].shape == row.shape
        assert row.bytes == sum(
            one.nbytes
            for name, one in tensors.items()
            if name.rsplit(".", 1)[0] == row.layer and not name.endswith(".bias")
        )
    with_ranges = {name.removesuffix(".input_scale") for name in tensors if "input_scale" in name}
    never = NEVER_CALLED.get(family)
    tables = {row.layer for row in layers if ".embed_" in row.layer}
    called = {row.layer for row in layers if not never or never not in row.layer}
    assert with_ranges == called - tables
    assert any("never calls a layer" in note for note in record.notes) == bool(never)
    assert any("calibration speech itself" in note for note in record.notes)
    assert place.record.history == ()
    assert "input_bits=8" in repr(load(place.out).model)
    assert {row.layer for row in layers if row.input_bits == 8} == with_ranges
    inspected = sottovoce("inspect", place.out)
    assert inspected.status == 0
    assert ("float" in inspected.out) == bool(never or tables)
    evaluated = sottovoce("evaluate", place.out, "--data", place.speech)
    assert f"WER {100 * record.systems[-1].wer:.2f}%" in evaluated.out


def test_layers_that_keep_floating_point_inputs_are_named(
    place: _Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "wav2vec2.feature_extractor.conv_layers.1.conv"

    def told(*given: Any) -> dict[str, Change]:
        """That layer suffers alone, and the whole model as long as its inputs are rounded."""
        trials = given[2]
        return {
            trial: Change(9 * (by[name].inputs is not None if name in by else 0), 9)
            for trial, by in trials.items()
        }

    monkeypatch.setattr("sottovoce.ptq.adaptive.measure_changes", told)
    ended = place.run()
    assert ended.status == 0, ended.err
    # 99 frames of 16 x 16 weights by 10 taps, where most are in the first convolution
    (note,) = (note for note in place.record.notes if "Floating-point inputs" in note)
    told = (
        r"Floating-point inputs in 1 layer, .* 0\.25% of the words \(\d+\.\d% of .* multiply-adds\)"
    )
    assert re.match(f"{told}: {name}", note)
    assert note in (place.out / "README.md").read_text().replace("\\", "")
    assert name in (place.out / "report.html").read_text().replace("<wbr>", "")
    assert f"Note: {note}" in ended.out
    assert f"{name}.input_scale" not in place.tensors
    assert f"{name}.codes" in place.tensors
    assert sum("input_scale" in tensor for tensor in place.tensors) == len(place.record.layers) + (
        len(place.record.cnns) - 1
    )


def test_fitted_biases_are_stored_and_read_back(
    place: _Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint's front end has none; what is served is what was measured, bit for bit."""

    def all_suffer(*given: Any) -> dict[str, Change]:
        return dict.fromkeys(given[2], Change(9, 9))

    monkeypatch.setattr("sottovoce.ptq.adaptive.measure_changes", all_suffer)
    assert not load(place.start).model.config.conv_bias
    assert place.run().status == 0
    name = "wav2vec2.feature_extractor.conv_layers.1.conv"
    stored = place.tensors[f"{name}.bias"]
    assert np.abs(stored).max() > 0
    model = load(place.out).model
    assert model.config.conv_bias
    np.testing.assert_array_equal(model.get_submodule(name).bias.detach().numpy(), stored)
    again = place.folder / "resaved"
    model.save_pretrained(again)
    np.testing.assert_array_equal(load_file(again / "model.safetensors")[f"{name}.bias"], stored)


def test_that_nothing_is_recognised_is_said_before_any_sweep(
    place: _Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head whose blank always wins: no change of words could be seen."""
    head = load(place.start)
    with torch.no_grad():
        head.model.lm_head.weight.zero_()
        head.model.lm_head.bias.zero_()[head.labels.blank] = 9.0
    head.model.save_pretrained(place.start)

    def stopped(*_: object, **__: object) -> None:
        raise Interrupted("interrupted")

    with monkeypatch.context() as patched:
        patched.setattr(posttraining, "input_histograms", stopped)
        ended = place.run()
        assert ended.status == 130
    sentence = f"{place.start} recognises nothing of speech/speech (WER 100.00%)"
    assert f"warning: {sentence}" in ended.err
    assert place.run().status == 0
    assert any(note.startswith(sentence) for note in place.record.notes)


@pytest.mark.parametrize(
    ("transcribed", "measured"), [(True, "the word error rate"), (False, "the words that change")]
)
def test_stablequant_says_what_it_measures_by(
    place: _Place, transcribed: bool, measured: str
) -> None:
    """Transcripts count where there are some, though none are needed where --dev has them."""
    calibration = place.speech
    if not transcribed:
        calibration = place.folder / "audio"
        calibration.mkdir()
        for path in place.speech.parent.glob("*.wav"):
            shutil.copy(path, calibration)
    ended = sottovoce(
        *("quantize", place.start, "--calibration", calibration, "--dev", place.speech),
        *("--out", place.out, "--method", "stablequant"),
    )
    assert ended.status == 0, ended.err
    assert f"a layer is sensitive by {measured}" in " ".join(ended.err.split())
    layers = [*place.record.layers, *place.record.cnns]
    assert all((row.bits, row.input_bits) == (8, 8) for row in layers)
    assert "operands" not in " ".join(place.tensors)


def test_a_part_of_the_speech_calibrates_and_that_is_recorded(place: _Place) -> None:
    ended = place.run("--method", "mse", "--calibration-minutes", 0.02)
    assert ended.status == 0, ended.err
    (note,) = (note for note in place.record.notes if note.startswith("Calibrated on "))
    assert re.match(r"Calibrated on \d of 6 utterances, 0\.0 of 0\.\d minutes", note)
    assert f"warning: {note}" in ended.err
    assert place.record.recipe["calibration_minutes"] == 0.02


def test_every_method_gives_other_ranges(place: _Place) -> None:
    audio = place.folder / "audio"
    audio.mkdir()
    for path in place.speech.parent.glob("*.wav"):
        shutil.copy(path, audio)
    found = {}
    for method in ("minmax", "percentile", "mse", "entropy", "stablequant", "adaptive"):
        # A folder of audio is enough to calibrate on.
        ended = sottovoce(
            *("quantize", place.start, "--calibration", audio, "--dev", place.speech),
            *("--out", place.out, "--method", method),
        )
        assert ended.status == 0, ended.err
        overlap, *told = place.record.notes
        assert "6 utterances of speech/speech too" in overlap
        known = ("Attention's", f"{place.start} recognises nothing")
        notes = [note for note in told if not note.startswith(known)]
        assert method == "adaptive" or not notes
        scales = [v for name, v in sorted(place.tensors.items()) if "input_scale" in name]
        found[method] = np.concatenate(scales)
        shutil.rmtree(place.out)
    assert set(found) == {*METHODS} - {"mixed"}
    del found["stablequant"], found["adaptive"]
    for method, scales in found.items():
        assert (scales <= found["minmax"] * 1.0001).all(), method
        others = [one for name, one in found.items() if name != method]
        assert all((scales != one).any() for one in others), method


@pytest.mark.parametrize("inputs", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_mixed_widths_stay_within_the_size(
    tmp_path: Path, one_thread: None, family: str, inputs: bool
) -> None:
    place = _Place(tmp_path, family)
    options: tuple[object, ...] = ("--method", "mixed", "--bits", 3.5)
    ended = place.run(*options, *(("--inputs",) if inputs else ()))
    assert ended.status == 0, ended.err
    record = place.record
    assert 3.0 < record.systems[-1].nominal_bits <= 3.5
    assert len({row.bits for row in record.layers}) > 1
    assert {row.bits for row in record.cnns} == {8}
    assert any("input_scale" in name for name in place.tensors) == inputs


def test_inputs_that_no_kernel_multiplies_stay_floating_point(place: _Place) -> None:
    """Offsets and blocks, as `calibrate` leaves them; the rest has 8-bit inputs, and is a graph."""
    candidates = "2/symmetric/8,4/asymmetric"
    ended = place.run(*("--method", "mixed", "--bits", 3, "--inputs", "--candidates", candidates))
    assert ended.status == 0, ended.err
    record = place.record
    with_ranges = {n.removesuffix(".input_scale") for n in place.tensors if "input_scale" in n}
    assert with_ranges == {row.layer for row in record.cnns}
    assert {row.grid for row in record.layers} == {"symmetric", "asymmetric"}
    (note,) = (note for note in record.notes if "8-bit kernels cannot multiply" in note)
    assert f" in {len(record.layers)} layers, since" in note and f"Note: {note}" in ended.out
    assert sottovoce("export", place.out, "--out", place.folder / "graph").status == 0


def test_the_packed_model_computes_in_integers(place: _Place) -> None:
    """From the stored numbers alone: integer codes on both sides, one product of scales."""
    assert place.run().status == 0
    model, tensors = load(place.out).model, place.tensors
    name = "wav2vec2.encoder.layers.1.feed_forward.output_dense"
    seen: list[torch.Tensor] = []
    layer = model.get_submodule(name)
    layer.register_forward_hook(lambda _, inputs, output: seen.extend([inputs[0], output]))
    with torch.inference_mode():
        model(torch.from_numpy(noise(0.4)).unsqueeze(0))
    inputs, outputs = (one[0].numpy().astype(np.float64) for one in seen)
    own = {key: tensors[f"{name}.{key}"] for key in ("codes", "scale", "bias")}
    scale, zero = (float(tensors[f"{name}.{key}"][0]) for key in ("input_scale", "input_zero"))
    codes = np.clip(np.round(inputs.astype(np.float32) / np.float32(scale)) + zero, 0, 255) - zero
    weights = own["codes"].astype(np.int64) - 127
    expected = codes.astype(np.int64) @ weights.T * own["scale"] * scale + own["bias"]
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def test_an_interruption_at_attention_leaves_nothing(
    place: _Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was finished by then that is worth keeping."""

    def stopped(*_: object, **__: object) -> None:
        raise Interrupted("interrupted")

    with monkeypatch.context() as patched:
        patched.setattr(posttraining, "round_attention", stopped)
        assert place.run("--method", "mse").status == 130
    assert place.run("--method", "mse").status == 0
    notes = [note for note in place.record.notes if note.startswith("Attention's")]
    assert len(notes) == 1


def test_an_interrupted_sweep_goes_on(place: _Place, monkeypatch: pytest.MonkeyPatch) -> None:
    original, written = sweep.write_text, []

    def stopping(path: Path, text: str) -> None:
        original(path, text)
        written.append(path.name)
        if len(written) == 1:
            raise Interrupted("interrupted")

    monkeypatch.setattr(sweep, "_SECONDS", 1.0)
    monkeypatch.setattr(sweep, "write_text", stopping)
    assert place.run().status == 130
    kept = place.out.with_name("small.unfinished") / "recognised.json"
    state = json.loads(kept.read_text())
    assert len({len(texts) for texts in state.values()}) == 1  # one batch, of every trial
    assert place.run().status == 2
    assert place.run("--resume").status == 0
    assert written[0] == "recognised.json"
    again = place.folder / "again"
    whole = sottovoce("quantize", place.start, "--calibration", place.speech, "--out", again)
    assert whole.status == 0
    name = "model.safetensors"
    assert (again / name).read_bytes() == (place.out / name).read_bytes()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--method", "magic"), "method is 'magic'; it must be one of"),
        (("--method", "mse", "--bits", 4), "bits is an option of mixed, and mse would not use it"),
        (("--inputs",), "inputs is an option of mixed, and adaptive would not use it"),
        (("--candidates", "2,4"), "candidates is an option of mixed"),
        (("--method", "minmax", "--scale-bits", 16), "leave it out or give --method mixed"),
        (("--method", "mixed", "--no-float-inputs"), "float_inputs is an option of adaptive"),
        (("--method", "stablequant", "--float-attention"), "says nothing with stablequant"),
        (("--calibration-minutes", 0), "calibration_minutes is 0.0; it must be above 0"),
        (("--method", "mixed", "--float-attention"), "says nothing where no inputs are rounded"),
        (("--method", "entropy", "--no-float-inputs"), "leave it out or give --method adaptive"),
        (("--method", "mixed", "--bits", 1), "bits is 1.0, but the candidates allow 2 to 8"),
        (("--calibration", "nowhere"), "nowhere does not exist"),
    ],
)
def test_what_cannot_be_done_is_refused(place: _Place, options: tuple[Any, ...], told: str) -> None:
    ended = place.run(*options)
    assert (ended.status, ended.out) == (2, "")
    assert told in ended.err
    assert [path.name for path in place.folder.glob("small*")] == []


@pytest.mark.parametrize("method", ["adaptive", "stablequant", "minmax", "mixed"])
@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (np.zeros(16000), "calibrate with speech that is not silent"),
        (np.full(16000, 0.25), "calibrate with speech that is not silent"),
        (
            np.linspace(-0.5, 0.5, 20),
            "a has 20 samples; the model needs 164 at least: leave it out",
        ),
    ],
    ids=["silent", "constant", "too short"],
)
def test_speech_that_cannot_calibrate_is_refused(
    place: _Place, method: str, samples: np.ndarray, told: str
) -> None:
    seconds = len(samples) / 16000
    soundfile.write(place.folder / "still.wav", samples, 16000)
    line = {"audio_filepath": "still.wav", "duration": seconds, "text": "ab", "id": "a"}
    manifest = write_manifest(place.folder / "still.jsonl", [line])
    options = ("--calibration", manifest, "--dev", place.speech, "--method", method)
    ended = place.run(*options, *(("--bits", 4) if method == "mixed" else ()))
    assert ended.status == 2
    assert told in ended.err
    assert "Traceback" not in ended.err
    assert [path.name for path in place.folder.glob("small*")] == []
