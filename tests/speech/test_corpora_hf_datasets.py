import shutil
import sys
from io import BytesIO

import pytest
import soundfile

from sottovoce.errors import InputError
from sottovoce.speech.audio import read_audio, read_utterance
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.utterance import AudioClip


@pytest.fixture
def datasets():
    return pytest.importorskip("datasets")


@pytest.fixture
def rows(write_tone):
    """Two rows: one holds its audio's bytes, one its path, which `save_to_disk` reads in."""
    first, second = write_tone("1.flac", 1.0), write_tone("2.wav", 0.5)
    return [
        {"bytes": first.read_bytes(), "path": "1.flac"},
        {"bytes": None, "path": str(second)},
    ]


@pytest.fixture
def dataset(datasets, rows):
    def make(audio=rows, **columns):
        made = datasets.Dataset.from_dict({"audio": audio, **columns})
        return made.cast_column("audio", datasets.Audio())

    return make


@pytest.fixture
def save(tmp_path):
    def write(dataset):
        dataset.save_to_disk(tmp_path / "saved")
        return tmp_path / "saved"

    return write


def refused(path):
    with pytest.raises(InputError) as caught:
        read_corpus(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("column", ["text", "sentence", "transcription", "normalized_text"])
def test_audio_is_read_from_bytes_and_paths(dataset, save, tmp_path, column):
    corpus = read_corpus(save(dataset(**{column: ["hello", "world"]})))
    first, second = corpus.utterances
    assert [(u.id, u.text, u.speaker, u.duration) for u in corpus.utterances] == [
        ("0", "hello", "", 1.0),
        ("1", "world", "", 0.5),
    ]
    expected = read_audio(AudioClip(tmp_path / "1.flac"), 16000)
    assert (read_utterance(first, 16000) == expected).all()
    assert len(read_utterance(second, 16000)) == 8000


def test_the_same_rows_with_other_audio_are_another_corpus(dataset, save, rows):
    path = save(dataset(text=["hello", "world"]))
    known = read_corpus(path)
    again = read_corpus(path)
    shutil.rmtree(path)
    waveform, rate = soundfile.read(BytesIO(rows[0]["bytes"]))
    changed = BytesIO()
    soundfile.write(changed, waveform[::-1], rate, format="FLAC")
    rows = [{"bytes": changed.getvalue(), "path": None}, rows[1]]
    other = read_corpus(save(dataset(audio=rows, text=["hello", "world"])))
    assert other.fingerprint == known.fingerprint
    assert other.audio_fingerprint != known.audio_fingerprint == again.audio_fingerprint


def test_ids_and_speakers_are_read_where_there_are_any(dataset, save):
    path = save(dataset(text=["a", "b"], id=["x", "y"], speaker_id=[0, None]))
    assert [(u.id, u.speaker) for u in read_corpus(path).utterances] == [("x", "0"), ("y", "")]


def test_ids_must_be_unique(dataset, save):
    with pytest.raises(InputError, match=r"two utterances of .* have the id 'x'"):
        read_corpus(save(dataset(text=["a", "b"], id=["x", "x"])))


def test_several_splits_are_listed(datasets, dataset, save):
    whole = dataset(text=["a", "b"])
    path = save(datasets.DatasetDict(train=whole, test=whole))
    said = refused(path)
    assert str(path / "train") in said
    assert str(path / "test") in said
    assert len(read_corpus(path / "test").utterances) == 2


def test_bad_rows_and_columns_are_named(datasets, dataset, rows, save):
    assert '"audio" and one of' in refused(save(dataset(words=["a", "b"])))
    assert "it must be a string" in refused(save(dataset(text=["a", None])))
    assert "row 1 has no audio" in refused(save(dataset([rows[0], None], text=["a", "b"])))
    no_audio = [rows[0], {"bytes": b"no audio", "path": None}]
    assert "row 1 cannot be decoded" in refused(save(dataset(no_audio, text=["a", "b"])))
    numbers = datasets.Dataset.from_dict({"audio": [[0.1], [0.2]], "text": ["a", "b"]})
    assert "make it an Audio column" in refused(save(numbers))


def test_a_column_of_paths_is_read_and_a_missing_file_named(datasets, save, write_tone):
    paths = [write_tone("1.flac", 1.0), write_tone("2.wav", 0.5)]
    saved = save(datasets.Dataset.from_dict({"audio": [*map(str, paths)], "text": ["a", "b"]}))
    assert [u.audio.source for u in read_corpus(saved).utterances] == paths
    paths[1].unlink()
    with pytest.raises(InputError, match=r"2\.wav does not exist"):
        read_corpus(saved)


def test_a_damaged_folder_is_named(dataset, save):
    path = save(dataset(text=["a", "b"]))
    next(path.glob("*.arrow")).write_bytes(b"damaged")
    assert "cannot be read by datasets" in refused(path)


def test_without_datasets_the_message_says_what_to_install(dataset, save, monkeypatch):
    path = save(dataset(text=["a", "b"]))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install 'sottovoce\[datasets\]'"):
        read_corpus(path)


def test_decoded_arrays_are_no_audio_column(tmp_path, datasets):
    rows = {"audio": [{"array": [0.0, 0.1], "sampling_rate": 16000}], "text": ["la"]}
    datasets.Dataset.from_dict(rows).save_to_disk(tmp_path / "saved")
    with pytest.raises(InputError, match=r'column "audio" is .*; make it an Audio column'):
        read_corpus(tmp_path / "saved")
