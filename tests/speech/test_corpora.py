import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sottovoce.errors import InputError
from sottovoce.speech import corpora
from sottovoce.speech.corpora import read_corpus, sources
from sottovoce.speech.corpus import Corpus, Speech
from sottovoce.speech.utterance import AudioClip, Utterance


def test_every_module_of_the_folder_is_a_source():
    modules = {path.stem for path in Path(corpora.__file__).parent.glob("*.py")} - {"__init__"}
    assert modules == {"audio_folder", "hf_datasets", "jsonl", "lhotse_cuts", "librispeech"}
    assert len({source.description for source in sources()}) == len(modules)


def test_what_nothing_recognises_is_answered_with_what_is_understood(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(InputError) as caught:
            read_corpus(path)
        assert str(path) in str(caught.value)
        assert all(source.description in str(caught.value) for source in sources())


def test_a_path_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(InputError, match=r"dev\.jsonl does not exist"):
        read_corpus(tmp_path / "dev.jsonl")


@pytest.mark.parametrize("name", ["dev.jsonl", "dev.json", "dev.jsonl.gz", "v1.0-dev", "sub/"])
def test_no_two_sources_recognise_the_same_path(tmp_path, name):
    path = tmp_path / name
    if name.endswith("/"):
        path.mkdir()
    else:
        path.write_text('{"audio_filepath": "a.wav", "text": "a"}')
    assert sum(source.recognises(path) for source in sources()) <= 1


def test_a_corpus_counts_its_hours_and_finds_by_id():
    one, two = (Utterance(name, AudioClip(Path("a.wav")), 900.0, "a") for name in "ab")
    corpus = Corpus("dev", (one, two))
    assert corpus.hours == 0.5
    assert corpus.by_id["b"] is two
    with pytest.raises(InputError, match="two utterances of dev have the id 'a'"):
        Corpus("dev", (one, two, one))


def _broken_manifest(folder: Path) -> Path:
    """Ten utterances: one truncated, one missing, one no audio, one of another length."""
    lines = []
    for number in range(10):
        name = f"{number}.flac"
        if number != 3:
            soundfile.write(folder / name, np.random.default_rng(number).normal(0, 0.1, 8000), 8000)
        lines.append({"audio_filepath": name, "text": "a", "duration": 1.0})
    whole = (folder / "5.flac").read_bytes()
    (folder / "5.flac").write_bytes(whole[: len(whole) // 2])
    (folder / "6.flac").write_text("no audio")
    lines[7]["duration"] = 3.0
    manifest = folder / "speech.jsonl"
    manifest.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return manifest


def test_all_broken_audio_is_listed_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read_corpus(_broken_manifest(tmp_path))
    message = str(refused.value)
    assert "the audio of 4 of 10 utterances cannot be read" in message
    assert "--skip-broken" in message
    for number in (3, 5, 6, 7):
        assert f"{number}.flac" in message
    assert "1.flac" not in message


def test_broken_audio_is_left_out_and_counted_where_that_is_asked_for(tmp_path: Path) -> None:
    corpus = read_corpus(Speech(_broken_manifest(tmp_path), skip_broken=True))
    assert [utterance.id for utterance in corpus.utterances] == ["0", "1", "2", "4", "8", "9"]
    assert corpus.name.endswith("(4 of 10 utterances left out: broken audio)")


def test_a_corpus_of_broken_audio_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "speech.jsonl").write_text('{"audio_filepath": "a.wav", "text": "a"}\n')
    with pytest.raises(InputError, match="the audio of 1 of 1 utterances cannot be read; mend"):
        read_corpus(Speech(tmp_path / "speech.jsonl", skip_broken=True))


def test_the_stated_length_is_looked_at_before_hours_are_decoded(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.flac", np.zeros(8000 * 3600, np.float32), 8000)
    line = {"audio_filepath": "long.flac", "text": "a", "duration": 2.0}
    (tmp_path / "speech.jsonl").write_text(json.dumps(line))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"has 3600\.00 s of audio where its corpus states 2\.00"):
        read_corpus(tmp_path / "speech.jsonl")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24


@pytest.mark.parametrize(("rate", "channels"), [(1, 1), (999, 1), (16000, 65)])
def test_absurd_rates_and_channels_are_refused(tmp_path: Path, rate: int, channels: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((200, channels)), rate, subtype="PCM_16")
    (tmp_path / "speech.jsonl").write_text('{"audio_filepath": "a.wav", "text": "a"}\n')
    with pytest.raises(InputError, match=rf"has {channels} channels at {rate} Hz, where up to 64"):
        read_corpus(tmp_path / "speech.jsonl")
