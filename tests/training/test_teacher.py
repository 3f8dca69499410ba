import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tiny import tiny_corpus

from sottovoce.models.recogniser import Recogniser
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.loading import prefetched
from sottovoce.training import teacher
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.teacher import CachedTeacher

CONSOLE = Console(quiet=True)
CPU = torch.device("cpu")
MakeRecogniser = Callable[..., Recogniser]


def _teacher(recogniser: Recogniser, corpus: Corpus, folder: Path) -> CachedTeacher:
    speech = TrainingSpeech(corpus, recogniser)
    return CachedTeacher.computed(recogniser, speech, 1.0, folder, CONSOLE)


def _shards(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}


def test_it_gives_what_the_model_gives_without_dropout_or_masks(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    recogniser = make_recogniser(hidden_dropout=0.5, mask_time_prob=0.5)
    recogniser.model.train()
    cached = _teacher(recogniser, corpus, tmp_path)
    recogniser.model.eval()
    chosen = [corpus.utterances[index] for index in (5, 0, 3)]
    decoded = next(iter(prefetched([chosen], recogniser.sampling_rate)))
    with torch.inference_mode():
        features = recogniser.features([waveform for _, waveform in decoded])
        expected = recogniser.logits(features).log_softmax(2)
    found = cached.posteriors([one.id for one in chosen]).at(CPU).log_probabilities
    assert found.shape == expected.shape
    mask = features.frame_mask
    torch.testing.assert_close(found[mask], expected[mask], rtol=1e-3, atol=1e-3)
    assert not bool(found[~mask].any())


def test_shards_that_are_there_are_kept_and_missing_ones_made(
    make_recogniser: MakeRecogniser,
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(teacher, "_UTTERANCES_A_SHARD", 3)
    recogniser = make_recogniser()
    cached = _teacher(recogniser, corpus, tmp_path)
    ids = [utterance.id for utterance in corpus.utterances]
    before = cached.posteriors(ids).at(CPU).log_probabilities
    shards = _shards(tmp_path)
    assert len(shards) == 3  # of eight utterances
    lost = sorted(shards)[1]
    lost.unlink()
    again = _teacher(recogniser, corpus, tmp_path).posteriors(ids).at(CPU).log_probabilities
    assert torch.equal(again, before)
    kept = _shards(tmp_path)
    assert len(kept) == 3
    assert shards.items() - kept.items() == {(lost, shards[lost])}


def test_what_is_asked_for_is_made_and_the_rest_when_it_is_asked_for(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    recogniser = make_recogniser()
    speech = TrainingSpeech(corpus, recogniser)

    def cached(*places: int) -> CachedTeacher:
        wanted = [corpus.utterances[place] for place in places]
        return CachedTeacher.computed(recogniser, speech, 1.0, tmp_path, CONSOLE, wanted)

    few = cached(1, 4)
    assert [one in few for one in corpus.utterances] == [place in (1, 4) for place in range(8)]
    (shard,) = before = _shards(tmp_path)
    cached(4)
    assert _shards(tmp_path) == before
    more = cached(0, 4)
    assert len(_shards(tmp_path)) == 2
    assert _shards(tmp_path)[shard] == before[shard]
    assert sum(one in more for one in corpus.utterances) == 3
    everything = _teacher(recogniser, corpus, tmp_path)
    assert all(one in everything for one in corpus.utterances)
    whole = _teacher(recogniser, corpus, tmp_path / "at once")
    for one in corpus.utterances:
        found, expected = (
            each.posteriors([one.id]).at(CPU).log_probabilities for each in (everything, whole)
        )
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


HOLDER = """
import sys, time
from pathlib import Path
from filelock import FileLock
folder = Path(sys.argv[1])
with FileLock(folder / "lock"):
    print(flush=True)
    time.sleep(1)
    (folder / "let go").touch()
"""


def test_a_second_process_waits_for_the_first(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    recogniser, told = make_recogniser(), StringIO()
    console = Console(file=told)
    speech = TrainingSpeech(corpus, recogniser)
    made = CachedTeacher.computed(recogniser, speech, 1.0, tmp_path, console)
    assert told.getvalue() == ""
    (folder,) = {path.parent for path in _shards(tmp_path)}
    expected = made.posteriors(["u1"]).at(CPU).log_probabilities
    for path in _shards(tmp_path):
        path.unlink()
    with subprocess.Popen([sys.executable, "-c", HOLDER, folder], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        found = CachedTeacher.computed(recogniser, speech, 1.0, tmp_path, console)
        assert (folder / "let go").exists()
    assert f"another process computes the teacher's outputs in {folder}" in told.getvalue()
    assert torch.equal(found.posteriors(["u1"]).at(CPU).log_probabilities, expected)


def test_another_model_or_other_speech_shares_nothing(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    recogniser = make_recogniser()
    first = _teacher(recogniser, corpus, tmp_path).posteriors(["u1"]).at(CPU).log_probabilities
    recogniser.model.lm_head.bias.data[3] += 1
    second = _teacher(recogniser, corpus, tmp_path).posteriors(["u1"]).at(CPU).log_probabilities
    assert not torch.equal(first, second)
    longer = tiny_corpus(tmp_path / "longer", utterances=9)
    _teacher(recogniser, longer, tmp_path).posteriors(["u8"])


def test_a_model_with_counters_has_a_teacher_too(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    recogniser = make_recogniser("hubert", conv_pos_batch_norm=True)
    assert any(one.ndim == 0 for one in recogniser.model.state_dict().values())
    assert (
        _teacher(recogniser, corpus, tmp_path).posteriors(["u1"]).at(CPU).log_probabilities.shape[0]
        == 1
    )
