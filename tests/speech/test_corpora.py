from pathlib import Path

import pytest

from sottovoce.errors import InputError
from sottovoce.speech import corpora
from sottovoce.speech.corpora import read_corpus, sources
from sottovoce.speech.corpus import Corpus
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
