"""Runs that begin alike train what they share once."""

import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from program import Ended, save_checkpoint, save_speech, sottovoce
from safetensors.torch import load_file

from sottovoce.config.recipe import Recipe
from sottovoce.loading import load_checkpoint
from sottovoce.speech.corpora import read_corpus
from sottovoce.training.batch import TrainingSpeech

DIALS = ("--bits", 3, "--learning-rate", 1e-2, "--steps", 2, "--evaluations", 1)


def _ended(folder: Path, out: str, *options: object) -> Ended:
    speech = folder / "speech" / "speech.jsonl"
    return sottovoce(
        *("compress", folder / "start", "--train", speech, "--dev", speech),
        *("--out", folder / out, "--seconds-per-batch", 1, *DIALS, *options),
    )


def _run(folder: Path, out: str, *options: object) -> Path:
    ended = _ended(folder, out, *options)
    assert ended.status == 0, ended.err
    return folder / out / "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path, one_thread: None) -> Path:
    save_checkpoint(tmp_path / "start")
    save_speech(tmp_path / "speech")
    return tmp_path


def test_pass_1_serves_every_pass_2(folder: Path, updates: list[int]) -> None:
    cache = ("--cache", folder / "cache")
    _run(folder, "once", *cache)
    assert len(updates) == 2
    learnt = _run(folder, "learnt", *cache, "--finetune", "learnt")
    assert len(updates) == 2 + 2
    start = _run(folder, "start again", *cache, "--finetune", "start", "--kl-finetune", 0.5)
    assert len(updates) == 2 + 2 + 2
    assert learnt.read_bytes() == _run(folder, "alone", "--finetune", "learnt").read_bytes()
    assert learnt.read_bytes() != start.read_bytes()
    _run(folder, "another seed", *cache, "--seed", 1)
    assert len(updates) == 6 + 4 + 2


def test_uniform_models_serve_every_measure_and_size(folder: Path, updates: list[int]) -> None:
    options = ("--cache", folder / "cache", "--sensitivity-batches", 1)
    _run(folder, "by kl", *options, "--plan-by", "kl")
    assert len(updates) == 3 * 2 + 2
    by_hessian = _run(folder, "by hessian", *options, "--plan-by", "hessian", "--bits", 4)
    assert len(updates) <= 8 + 2
    alone = _run(folder, "alone", "--sensitivity-batches", 1, "--plan-by", "hessian", "--bits", 4)
    assert by_hessian.read_bytes() == alone.read_bytes()


def test_the_teacher_hears_what_it_teaches_and_no_more(folder: Path) -> None:
    """One of two updates searches, and only the search listens."""
    speech = read_corpus(folder / "speech" / "speech.jsonl")
    options = {"bits": 3, "steps": 2, "seconds_per_batch": 1.0}
    prepared = TrainingSpeech(speech, load_checkpoint(folder / "start"))
    wanted = [one.id for one in prepared.heard(Recipe().replaced(options), 1)]
    assert 0 < len(wanted) < len(speech.utterances)
    _run(folder, "once", "--cache", folder / "cache")
    (kept,) = (folder / "cache" / "teacher").rglob("*.safetensors")
    assert sorted(load_file(kept)) == sorted(wanted)


def test_uniform_models_without_transcripts_leave_pass_2_to_the_plan(folder: Path) -> None:
    options = ("--unlabelled", "--plan-by", "kl", "--sensitivity-batches", 1)
    _run(folder, "out", *options, "--finetune", "learnt", "--kl-finetune", 1)


def test_two_runs_do_not_train_one_stage_at_once(folder: Path, updates: list[int]) -> None:
    """The second is refused; a process that is killed lets go."""
    cache = folder / "cache"
    _run(folder, "once", "--cache", cache)
    (stage,) = cache.glob("pass 1, *")
    hold = (
        "import sys, time; from pathlib import Path; from sottovoce.training.state import *\n"
        "stage = WorkFolder(Path(sys.argv[1]), is_shared=True)\n"
        "with stage.held(): print(flush=True); time.sleep(300)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, stage], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        ended = _ended(folder, "twice", "--cache", cache)
        other.kill()
    assert ended.status == 2
    assert "another process is training in" in ended.err
    assert "once it is through, go on with: sottovoce compress " in ended.err
    assert ended.err.endswith(" --resume\n")
    assert len(updates) == 2
    _run(folder, "twice", "--cache", cache, "--resume")
    assert len(updates) == 2


def test_other_audio_is_another_stage(folder: Path, updates: list[int]) -> None:
    cache = ("--cache", folder / "cache")
    _run(folder, "first", *cache)
    audio = folder / "speech" / "3.wav"
    waveform, rate = soundfile.read(audio)
    soundfile.write(audio, 0.5 * waveform, rate)
    _run(folder, "quieter", *cache)
    assert len(updates) == 2 + 2
