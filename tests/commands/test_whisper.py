"""A recogniser with an attention decoder through every command, as a user would have it."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from program import save_checkpoint, save_speech, sottovoce
from safetensors.numpy import load_file
from tiny import RATE, noise
from transformers import AutoModelForSpeechSeq2Seq

from sottovoce import evaluate
from sottovoce.artifact.tied_projection import TiedProjection
from sottovoce.loading import load
from sottovoce.record import RunRecord

QUICK = ("--steps", 3, "--evaluations", 1, "--seconds-per-batch", 1.5)


@dataclass(frozen=True)
class Place:
    """A recogniser that has learnt its speech by heart, and what it was compressed to."""

    start: Path
    speech: Path
    audio: Path
    small: Path

    @property
    def record(self) -> RunRecord:
        return RunRecord.of(self.small)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Place:
    folder = tmp_path_factory.mktemp("whisper")
    speech = save_speech(folder / "speech")
    untrained = save_checkpoint(folder / "untrained" / "model", "whisper", init_std=0.05)
    place = Place(folder / "start", speech, folder / "audio", folder / "small")
    learnt = sottovoce(
        *("finetune", untrained, "--train", speech, "--dev", speech, "--out", place.start),
        *("--steps", 150, "--learning-rate", 1e-2, "--evaluations", 1, "--seconds-per-batch", 10),
    )
    assert learnt.status == 0, learnt.err
    place.audio.mkdir()
    for path in speech.parent.glob("*.wav"):
        shutil.copy(path, place.audio)
    compressed = sottovoce(
        *("compress", place.start, "--train", place.audio, "--dev", speech, "--out", place.small),
        *("--bits", 4, "--cnn-bits", 8, *QUICK),
    )
    assert compressed.status == 0, compressed.err
    return place


def test_it_learns_to_write_its_speech(place: Place) -> None:
    assert evaluate(place.start, place.speech).score.errors <= 2


def test_audio_alone_teaches_by_what_the_start_point_writes(place: Place) -> None:
    assert place.record.recipe["unlabelled"] is True
    assert place.record.systems[-1].nominal_bits <= 4
    assert "AutoModelForSpeechSeq2Seq" in (place.small / "README.md").read_text()


def test_the_embedding_is_stored_once_and_counted(place: Place) -> None:
    tensors = load_file(place.small / "model.safetensors")
    assert not any(name.startswith("proj_out") for name in tensors)
    codes = tensors["model.decoder.embed_tokens.codes"]
    assert codes.shape == (310, 32)
    assert {row.layer for row in place.record.cnns} >= {
        *("model.encoder.conv1", "model.encoder.embed_positions"),
        *("model.decoder.embed_tokens", "model.decoder.embed_positions"),
    }
    assert place.record.systems[-1].bytes == (place.small / "model.safetensors").stat().st_size


def test_transformers_loads_it_and_saves_it_again(place: Place, tmp_path: Path) -> None:
    model = AutoModelForSpeechSeq2Seq.from_pretrained(place.small)
    assert isinstance(model.proj_out, TiedProjection)
    model.save_pretrained(tmp_path / "again")
    first, second = (
        load_file(folder / "model.safetensors") for folder in (place.small, tmp_path / "again")
    )
    assert first.keys() == second.keys()
    assert all(np.array_equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.parametrize("bits", [3, 4])
def test_bits_of_the_embedding_are_an_option_of_their_own(
    place: Place, tmp_path: Path, bits: int
) -> None:
    ended = sottovoce(
        *("compress", place.start, "--train", place.audio, "--dev", place.speech),
        *("--out", tmp_path / "small", "--bits", 4, "--embedding-bits", bits, *QUICK),
    )
    assert ended.status == 0, ended.err
    (row,) = RunRecord.of(tmp_path / "small").cnns
    assert (row.layer, row.bits) == ("model.decoder.embed_tokens", bits)


def test_a_published_recipe_learns_from_its_own_transcripts_too(
    place: Place, tmp_path: Path
) -> None:
    ended = sottovoce(
        *("compress", place.start, "--train", place.audio, "--dev", place.speech),
        *("--out", tmp_path / "small", "--recipe", "paper", "--bits", 4, *QUICK),
    )
    assert ended.status == 0, ended.err


def test_a_start_point_that_writes_nothing_of_use_is_refused(place: Place, tmp_path: Path) -> None:
    untrained = save_checkpoint(tmp_path / "untrained" / "model", "whisper")
    ended = sottovoce(
        *("compress", untrained, "--train", place.audio, "--dev", place.speech),
        *("--out", tmp_path / "small", "--bits", 4, *QUICK),
    )
    assert ended.status == 2
    assert "--no-unlabelled" in ended.err
    assert not (tmp_path / "small").exists()


def test_post_training_and_calibration(place: Place, tmp_path: Path) -> None:
    both = ("--calibration", place.audio, "--dev", place.speech)
    ended = sottovoce("quantize", place.start, *both, "--out", tmp_path / "q8")
    assert ended.status == 0, ended.err
    ended = sottovoce("calibrate", place.small, *both, "--out", tmp_path / "c8")
    assert ended.status == 0, ended.err
    compared = sottovoce("compare", place.start, tmp_path / "q8", "--data", place.speech)
    assert compared.status == 0, compared.err
    inspected = sottovoce("inspect", tmp_path / "q8")
    assert "model.decoder.e" in inspected.out


def test_recordings_longer_than_a_window_are_written_whole(place: Place, tmp_path: Path) -> None:
    for name, seconds in (("short", 0.4), ("long", 2.6)):
        soundfile.write(tmp_path / f"{name}.wav", noise(seconds), RATE)
    ended = sottovoce("transcribe", place.small, tmp_path / "short.wav", tmp_path / "long.wav")
    assert ended.status == 0, ended.err
    assert len(ended.out.splitlines()) == 2


def test_a_batch_writes_what_each_writes_alone(place: Place) -> None:
    recogniser = load(place.small)
    waveforms = [noise(0.3), noise(0.7, seed=1), noise(1.4, seed=2), noise(0.2, seed=3)]
    alone = [recogniser.recognise([waveform])[0] for waveform in waveforms]
    assert recogniser.recognise(waveforms) == alone


def test_outputs_that_are_not_finite_are_refused(place: Place) -> None:
    recogniser = load(place.start)
    with torch.no_grad():
        recogniser.model.model.decoder.layer_norm.weight[0] = torch.nan
    assert recogniser.recognise([noise(0.3)]) == [None]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("evaluate", "--language", "fr"), "writes English alone"),
        (("evaluate", "--normaliser", "french"), "must be one of"),
        (("evaluate", "--beams", 0), "between 1 and 64"),
        (("export", "--to", "onnx"), "no distribution over labels at every frame"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    place: Place, tmp_path: Path, command: tuple[object, ...], message: str
) -> None:
    where = ("--data", place.speech) if command[0] == "evaluate" else ("--out", tmp_path / "x")
    ended = sottovoce(command[0], place.start, *where, *command[1:])
    assert ended.status == 2
    assert message in ended.err


def test_beams_and_normalisers_are_taken(place: Place) -> None:
    for more in (("--beams", 2), ("--normaliser", "none"), ("--normaliser", "basic")):
        ended = sottovoce("evaluate", place.start, "--data", place.speech, *more)
        assert ended.status == 0, ended.err
        assert "2 speakers resampled" in ended.out


def test_speech_that_fills_more_than_a_window_cannot_train(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, noise(1.2), RATE)
    manifest = tmp_path / "long.jsonl"
    line = {"audio_filepath": str(path), "duration": 1.2, "text": "ab c", "speaker": "s"}
    manifest.write_text(json.dumps(line) + "\n")
    ended = sottovoce(
        *("compress", place.start, "--train", manifest, "--dev", place.speech),
        *("--out", tmp_path / "small", *QUICK),
    )
    assert ended.status == 2
    assert "hears 1 s at once" in ended.err
