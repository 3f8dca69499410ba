"""Every mistake is one sentence that names what is wrong, exit status 2, and nothing is left."""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from program import Ended, save_checkpoint, save_speech, sottovoce, write_manifest
from safetensors.torch import load_file, save_file
from tiny import RATE, noise, tiny_model
from transformers import Wav2Vec2FeatureExtractor

from sottovoce.cli.app import run

Records = list[dict[str, object]]
QUICK = ("--steps", 8, "--evaluations", 1, "--seconds-per-batch", 0.5)


@dataclass(frozen=True)
class Given:
    """Sound input: a checkpoint, speech, and what `compress` makes of them."""

    checkpoint: Path
    speech: Path
    small: Path


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Given:
    folder = tmp_path_factory.mktemp("sound")
    given = Given(
        save_checkpoint(folder / "start"), save_speech(folder / "speech"), folder / "small"
    )
    speech = ("--train", given.speech, "--dev", given.speech)
    ended = sottovoce("compress", given.checkpoint, *speech, "--out", given.small, *QUICK)
    assert ended.status == 0, ended.err
    return given


@pytest.fixture
def given(sound: Given, tmp_path: Path) -> Given:
    """Copies to break."""
    for folder in (sound.checkpoint, sound.speech.parent, sound.small):
        shutil.copytree(folder, tmp_path / folder.name)
    return Given(tmp_path / "start", tmp_path / "speech" / "speech.jsonl", tmp_path / "small")


def _refused(ended: Ended, *named: object) -> None:
    """One line on standard error, the last where progress stands before it, names all of that."""
    assert ended.status == 2, (ended.out, ended.err)
    lines = ended.err.splitlines()
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:]
    assert "Traceback" not in ended.err
    for one in named:
        assert str(one) in lines[-1]


def _refused_at_once(ended: Ended, *named: object) -> None:
    _refused(ended, *named)
    assert len(ended.err.splitlines()) == 1, ended.err
    assert ended.out == ""


def _compress(given: Given, *words: object, train: Path | None = None) -> Ended:
    """Compress `given` into a folder "out" beside it."""
    return sottovoce(
        *("compress", given.checkpoint, "--train", train or given.speech, "--dev", given.speech),
        *("--out", given.speech.parents[1] / "out", *QUICK, *words),
    )


def _nothing_is_left(given: Given) -> bool:
    return not list(given.speech.parents[1].glob("*out*"))


def _with_records(given: Given, change: Callable[[Records], object]) -> Path:
    """A manifest beside the speech whose records were changed."""
    records = [json.loads(line) for line in given.speech.read_text().splitlines()]
    change(records)
    return write_manifest(given.speech.with_name("changed.jsonl"), records)


# the speech


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda records: records[2].update(audio_filepath="none.wav"), ("line 3", "none.wav")),
        (lambda records: records[3].update(text="abc" * 60), ("u3", "needs 180", "leave")),
        (lambda records: records[4].update(text="ab ü7"), ("u4", "'7', 'ü'", "spell it out")),
        (lambda records: records[5].update(id="u1"), ("lines 2 and 6", "u1", "its own")),
        (lambda records: records[6].pop("text"), ("line 7", '"text"')),
        (lambda records: records[1].update(duration="long"), ("line 2", "'long'", "number")),
        (lambda records: records.clear(), ("changed.jsonl", "no utterances")),
    ],
    ids=["missing", "too long", "vocabulary", "ids", "no text", "duration", "empty"],
)
def test_a_manifest_is_refused_before_anything_is_run(
    given: Given, change: Callable[[Records], object], named: tuple[str, ...]
) -> None:
    train = _with_records(given, change)
    _refused_at_once(_compress(given, train=train), *named)
    assert _nothing_is_left(given)


def test_a_broken_line_is_named(given: Given) -> None:
    lines = given.speech.read_text().splitlines()
    lines[4] = lines[4][:20]
    given.speech.write_text("\n".join(lines))
    _refused_at_once(_compress(given), given.speech, "line 5", "JSON")
    _refused_at_once(
        sottovoce("evaluate", given.small, "--data", given.speech), given.speech, "line 5"
    )
    assert _nothing_is_left(given)


def test_a_corpus_that_is_not_there_or_none_is_refused(given: Given) -> None:
    folder = given.speech.parents[1]
    _refused_at_once(_compress(given, train=folder / "nowhere"), folder / "nowhere", "exist")
    _refused_at_once(_compress(given, train=given.checkpoint), given.checkpoint, "known kind")
    assert _nothing_is_left(given)


def _emptied(path: Path) -> None:
    soundfile.write(path, np.zeros(0), RATE)


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def _no_audio(path: Path) -> None:
    path.write_text("what was said\n")


def _not_finite(path: Path) -> None:
    soundfile.write(path, np.full(RATE, np.nan), RATE, subtype="FLOAT")


BREAK = pytest.mark.parametrize("damage", [_emptied, _cut_short, _no_audio, _not_finite])


@BREAK
def test_audio_that_cannot_be_evaluated_leaves_nothing_behind(
    given: Given, damage: Callable[[Path], None]
) -> None:
    broken = given.speech.with_name("5.wav")
    damage(broken)
    _refused(_compress(given), broken)
    _refused(sottovoce("evaluate", given.small, "--data", given.speech), broken)
    assert _nothing_is_left(given)


@BREAK
def test_audio_that_cannot_be_trained_on_is_refused_before_work_begins(
    given: Given, damage: Callable[[Path], None]
) -> None:
    folder = given.speech.parents[1]
    shutil.copytree(given.speech.parent, folder / "train")
    damage(folder / "train" / "1.wav")
    ended = _compress(given, train=folder / "train" / "speech.jsonl")
    _refused(ended, folder / "train" / "1.wav")
    assert "update" not in ended.err
    assert not (folder / "out.unfinished").exists()


def test_audio_that_breaks_a_training_off_can_be_mended(given: Given, sound: Given) -> None:
    """One utterance a batch: most are trained on before the broken one comes.

    What is broken before the last second of a file is found as it is decoded.
    """
    folder = given.speech.parents[1]
    shutil.copytree(given.speech.parent, folder / "train")
    train, broken = folder / "train" / "speech.jsonl", folder / "train" / "1.wav"
    waveform, rate = soundfile.read(broken)
    waveform[0] = np.nan
    soundfile.write(broken, waveform, rate, subtype="FLOAT")
    options = ("--recipe", "paper-no-kl", "--bits", 4, "--evaluations", 8)
    ended = _compress(given, *options, train=train)
    _refused(ended, broken)
    assert "update 1 of 8" in ended.err
    assert (folder / "out.unfinished" / "settings.json").is_file()
    assert not (folder / "out").exists()

    shutil.copy(sound.speech.with_name("1.wav"), broken)
    ended = _compress(given, *options, "--resume", train=train)
    assert ended.status == 0, ended.err
    assert (folder / "out" / "metrics.json").is_file()
    assert not (folder / "out.unfinished").exists()


def test_audio_that_breaks_the_teacher_off_is_named(given: Given) -> None:
    folder = given.speech.parents[1]
    shutil.copytree(given.speech.parent, folder / "train")
    _cut_short(folder / "train" / "1.wav")
    _refused(_compress(given, train=folder / "train" / "speech.jsonl"), folder / "train" / "1.wav")


def test_an_evaluation_transcript_outside_the_vocabulary_is_refused(given: Given) -> None:
    changed = _with_records(given, lambda records: records[4].update(text="xyz"))
    dev = ("--train", given.speech, "--dev", changed)
    out = ("--out", given.speech.parents[1] / "out", *QUICK)
    _refused_at_once(sottovoce("compress", given.checkpoint, *dev, *out), "'x', 'y', 'z'")
    _refused_at_once(sottovoce("finetune", given.checkpoint, *dev, *out), "'x', 'y', 'z'")
    _refused_at_once(sottovoce("evaluate", given.small, "--data", changed), "'x', 'y', 'z'")
    assert _nothing_is_left(given)


def test_transcribe_refuses_what_is_no_audio(given: Given) -> None:
    text = given.speech.with_name("notes.txt")
    _no_audio(text)
    _refused_at_once(sottovoce("transcribe", given.small, text), text, "no audio file")
    soundfile.write(text.with_suffix(".wav"), noise(0.01), RATE)
    short = sottovoce("transcribe", given.small, text.with_suffix(".wav"))
    _refused_at_once(short, "notes.wav", "160 samples")
    _refused_at_once(sottovoce("transcribe", given.small, "none.wav"), "none.wav", "not exist")


def test_what_the_terminal_cannot_write_is_escaped(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = given.speech.with_name("sŏn.wav")
    shutil.copy(given.speech.with_name("0.wav"), sound)
    written = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(written, "ascii", write_through=True))
    monkeypatch.setattr(
        sys, "argv", ["sottovoce", "transcribe", str(given.small), *2 * [str(sound)]]
    )
    with pytest.raises(SystemExit) as ended:
        run()
    assert not ended.value.code
    assert [b"s\\u014fn.wav\t" in line for line in written.getvalue().splitlines()] == [True] * 2


def test_transcribe_tells_of_the_file_that_it_leaves_out_and_does_the_others(given: Given) -> None:
    broken = given.speech.with_name("notes.wav")
    _no_audio(broken)
    sound = given.speech.with_name("0.wav")
    ended = sottovoce("transcribe", given.small, sound, broken, sound)
    assert ended.status == 2
    assert [line.split("\t")[0] for line in ended.out.splitlines()] == [str(sound)] * 2
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith(f"error: {broken} cannot be decoded")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--chunk", 0), ("0 s", "more than")),
        (("--chunk", "nan"), ("nan s", "more than")),
        (("--chunk", 10, "--context", 5), ("5 s", "10 s", "less than")),
        (("--chunk", 0.02, "--context", 0.009), ("0.02 s", "lengthen")),
    ],
)
def test_a_chunk_that_leaves_nothing_to_write_is_refused(
    given: Given, words: tuple[object, ...], named: tuple[str, ...]
) -> None:
    sound = given.speech.with_name("0.wav")
    _refused_at_once(sottovoce("transcribe", given.small, sound, *words), *named)


# the checkpoint


def test_a_checkpoint_without_a_head_is_told_how_to_get_one(given: Given) -> None:
    shutil.rmtree(given.checkpoint)
    tiny_model("wav2vec2").wav2vec2.save_pretrained(given.checkpoint)
    Wav2Vec2FeatureExtractor().save_pretrained(given.checkpoint)
    _refused_at_once(_compress(given), given.checkpoint, "no CTC head", "sottovoce finetune")
    assert _nothing_is_left(given)


def _as_bert(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "bert"}')


def _with_nan(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"][1, 2] = torch.nan
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _halved(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (_as_bert, ("'bert'", "wavlm")),
        (_with_nan, ("lm_head.weight", "not finite")),
        (_halved, ("start", "cannot read")),
        (shutil.rmtree, ("start", "no such folder", "save_pretrained")),
        (lambda folder: (folder / "config.json").unlink(), ("start", "save_pretrained")),
        (lambda folder: (folder / "vocab.json").unlink(), ("start", "tokenizer")),
    ],
    ids=["family", "NaN", "truncated", "missing", "no config", "no vocabulary"],
)
def test_a_checkpoint_is_refused_before_anything_is_run(
    given: Given, damage: Callable[[Path], object], named: tuple[str, ...]
) -> None:
    damage(given.checkpoint)
    _refused_at_once(_compress(given), *named)
    _refused_at_once(sottovoce("transcribe", given.checkpoint, given.speech), *named)
    assert _nothing_is_left(given)


def test_a_compressed_folder_is_no_start(given: Given) -> None:
    again = Given(given.small, given.speech, given.small)
    _refused_at_once(_compress(again), given.small, "compressed already")
    _refused_at_once(sottovoce("inspect", given.checkpoint), given.checkpoint, "compress")
    assert _nothing_is_left(given)


def test_a_baseline_that_cannot_be_read_leaves_nothing_behind(given: Given) -> None:
    _refused(_compress(given, "--baseline", given.speech.parent), given.speech.parent)
    assert _nothing_is_left(given)


# the compressed folder


def _flip(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[content.index(b"codes")] ^= 1
    path.write_bytes(content)


def _lengthen_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[3] ^= 0x80
    path.write_bytes(content)


def _from_tomorrow(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"]["version"] = 2
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (_flip, ("small", "codes")),
        (_lengthen_header, ("small", "model.safetensors", "damaged")),
        (_halved, ("small", "model.safetensors", "cut short")),
        (_from_tomorrow, ("small", "version 2", "update sottovoce")),
        (lambda folder: (folder / "model.safetensors").unlink(), ("small", "model.safetensors")),
    ],
    ids=["flipped name", "flipped length", "truncated", "version", "no weights"],
)
def test_a_damaged_folder_is_refused_by_every_command(
    given: Given, damage: Callable[[Path], object], named: tuple[str, ...]
) -> None:
    damage(given.small)
    for words in (
        ("transcribe", given.small, given.speech.with_name("0.wav")),
        ("evaluate", given.small, "--data", given.speech),
        ("compare", given.small, given.checkpoint, "--data", given.speech),
        ("inspect", given.small),
    ):
        _refused_at_once(sottovoce(*words), *named)


def test_systems_that_heard_other_utterances_are_not_compared(given: Given) -> None:
    hypothesis, fewer = given.small / "compressed.trn", given.small / "fewer.trn"
    fewer.write_text("".join(hypothesis.read_text().splitlines(keepends=True)[1:]))
    reference = ("--data", given.small / "reference.trn")
    _refused_at_once(sottovoce("compare", hypothesis, fewer, *reference), "u0")
    _refused(sottovoce("compare", given.small, fewer, "--data", given.speech), "u0")
    _refused_at_once(sottovoce("compare", given.small, fewer, *reference), given.small, "speech")
    _refused_at_once(sottovoce("compare", given.small / "none.trn", fewer, *reference), "none.trn")


def test_hypotheses_in_another_case_than_the_references_are_not_compared(
    tmp_path: Path,
) -> None:
    """Every word of both would be an error, beside which no loss is large: "lossless"."""
    said = tmp_path / "said.trn"
    said.write_text("one two (-1)\n")
    speech = tmp_path / "reference.trn"
    speech.write_text("ONE THREE (-1)\n")
    _refused_at_once(sottovoce("compare", said, said, "--data", speech), said, "another case")
    said.write_text("x (-1)\n")
    assert sottovoce("compare", said, said, "--data", speech).status == 0


def test_a_runtime_has_nothing_to_run_where_both_systems_are_texts(given: Given) -> None:
    said = given.small / "compressed.trn"
    words = ("compare", said, said, "--data", given.small / "reference.trn", "--runtime", "onnx")
    _refused_at_once(sottovoce(*words), "runtime")


# options and places


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--bits", 9), ("9", "2 to 8")),
        (("--bits", 1), ("1", "2 to 8")),
        (("--bits", "nan"), ("nan", "2 to 8")),
        (("--bits", 3, "--eta", 0.1), ("bits", "eta", "not both")),
        (("--candidates", "2,7"), ("7", "(1, 1.6, 2, 3, 4, 5, 6, 8)")),
        (("--candidates", "two"), ("candidates", "'two'")),
        (("--learning-rate", "inf"), ("learning_rate", "finite")),
        (("--steps", 0), ("steps", "at least 1")),
        (("--teacher", "strict"), ("teacher", "'strict'", "cached")),
        (("--recipe", "papre"), ("'papre'", "paper-no-kl", "TOML")),
    ],
    ids=lambda words: " ".join(map(str, words)) if words[0][:2] == "--" else "",
)
def test_an_option_that_cannot_be_set_so_is_refused(
    given: Given, words: tuple[object, ...], named: tuple[str, ...]
) -> None:
    _refused_at_once(_compress(given, *words), *named)
    assert _nothing_is_left(given)


@pytest.mark.parametrize(
    ("text", "named"),
    [("bitz = 4\n", "'bitz'"), ("bits = \n", "line 1"), ("bits = 'four'\n", "'four'")],
)
def test_a_recipe_file_is_refused_by_name(given: Given, text: str, named: str) -> None:
    recipe = given.speech.with_name("mine.toml")
    recipe.write_text(text)
    _refused_at_once(_compress(given, "--recipe", recipe), recipe, named)
    assert _nothing_is_left(given)


def test_a_place_that_cannot_be_written_to_is_refused(given: Given) -> None:
    out = given.speech.parents[1] / "out"
    out.mkdir()
    for command in ("compress", "finetune"):
        speech = ("--train", given.speech, "--dev", given.speech, *QUICK)
        words = (command, given.checkpoint, *speech, "--out")
        _refused_at_once(sottovoce(*words, out), out, "exists", "choose another")
        _refused_at_once(sottovoce(*words, given.speech / "small"), given.speech / "small")
    assert list(given.speech.parents[1].glob("*out*")) == [out]


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    """As on a full disk: no file grows beyond `size` bytes meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 2_500, 30_000], ids=["settings", "teacher", "state"])
def test_a_file_that_cannot_grow_is_one_sentence_and_the_run_goes_on_later(
    given: Given, size: int
) -> None:
    with _largest_file(size):
        ended = _compress(given)
    _refused(ended, "File too large")
    folder = given.speech.parents[1]
    assert not (folder / "out").exists()
    ended = _compress(given, "--resume")
    assert ended.status == 0, ended.err
    assert [path.name for path in folder.glob("*out*")] == ["out"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_one_sentence(given: Given, small_disk: Path) -> None:
    speech = ("--train", given.speech, "--dev", given.speech, *QUICK)
    for command in ("compress", "finetune"):
        out = small_disk / command
        _refused(sottovoce(command, given.checkpoint, *speech, "--out", out), "No space left")
        assert not out.exists()
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "more").write_bytes(bytes(1 << 17))
    ended = sottovoce("evaluate", given.small, "--data", given.speech, "--out", small_disk / "s")
    _refused(ended, "No space left", small_disk)
