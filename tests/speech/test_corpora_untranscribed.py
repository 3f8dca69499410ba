"""Corpora where no transcripts are needed."""

import json
import os
import shutil
import sys

import pytest

from sottovoce.errors import InputError
from sottovoce.speech.audio import read_utterance
from sottovoce.speech.corpora import read_corpus


@pytest.fixture
def folder(tmp_path, write_tone):
    """Two tones, one of them a folder deeper, beside a file that is no audio."""
    write_tone("audio/b.flac", 1.0)
    write_tone("audio/more/a.WAV", 0.5)
    (tmp_path / "audio" / "notes.txt").write_text("hello")
    return tmp_path / "audio"


def test_a_folder_of_audio_files_is_a_corpus(folder):
    corpus = read_corpus(folder, transcribed=False)
    assert [(u.id, u.duration, u.text) for u in corpus.utterances] == [
        ("b.flac", 1.0, ""),
        ("more/a.WAV", 0.5, ""),
    ]
    assert len(read_utterance(corpus.utterances[1], 16000)) == 8000


def test_a_folder_of_audio_files_has_no_transcripts_to_give(folder):
    with pytest.raises(InputError, match="audio without transcripts.*--unlabelled"):
        read_corpus(folder)


def test_a_folder_with_broken_audio_is_refused(folder):
    (folder / "c.flac").write_bytes(b"fLaC")
    with pytest.raises(InputError, match=r"c\.flac"):
        read_corpus(folder, transcribed=False)


def test_a_folder_with_audio_of_a_closed_kind_is_refused_and_hidden_files_are_not_seen(folder):
    (folder / "._b.flac").write_bytes(b"macOS lays such a file beside each")
    assert len(read_corpus(folder, transcribed=False).utterances) == 2
    (folder / "more" / "c.M4A").write_bytes(b"")
    with pytest.raises(InputError, match=r"c\.M4A cannot be decoded here.*FLAC"):
        read_corpus(folder, transcribed=False)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are Unicode there")
def test_a_file_name_that_is_not_utf8_is_refused(folder):
    shutil.copy(folder / "b.flac", os.fsdecode(bytes(folder) + b"/caf\xe9.flac"))
    with pytest.raises(InputError, match=r"caf\\udce9\.flac' is not UTF-8; rename"):
        read_corpus(folder, transcribed=False)


def test_a_manifest_may_leave_texts_out(folder):
    path = folder / "speech.jsonl"
    path.write_text(json.dumps({"audio_filepath": "b.flac", "text": None}))
    (utterance,) = read_corpus(path, transcribed=False).utterances
    assert utterance.text == ""
    with pytest.raises(InputError, match='line 1 has no "text"'):
        read_corpus(path)


def test_cuts_may_have_no_supervision(tmp_path, write_tone):
    lhotse = pytest.importorskip("lhotse")
    recording = lhotse.Recording.from_file(write_tone("tone.flac", 2.0))
    cut = lhotse.MonoCut("cut", 0.5, 1.0, channel=0, recording=recording)
    path = tmp_path / "cuts.jsonl"
    lhotse.CutSet.from_cuts([cut]).to_file(path)
    (utterance,) = read_corpus(path, transcribed=False).utterances
    assert (utterance.id, utterance.duration, utterance.text) == ("cut", 1.0, "")
    with pytest.raises(InputError, match="no single supervision with a text"):
        read_corpus(path)


def test_a_saved_dataset_may_have_no_text_column(tmp_path, write_tone):
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_dict({"audio": [str(write_tone("1.wav", 0.5))]})
    made.cast_column("audio", datasets.Audio()).save_to_disk(tmp_path / "saved")
    (utterance,) = read_corpus(tmp_path / "saved", transcribed=False).utterances
    assert (utterance.duration, utterance.text) == (0.5, "")
    with pytest.raises(InputError, match="it needs"):
        read_corpus(tmp_path / "saved")
