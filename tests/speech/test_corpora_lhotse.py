import gzip
import json
import sys

import pytest

from sottovoce.errors import InputError
from sottovoce.speech.audio import read_utterance
from sottovoce.speech.corpora import read_corpus


@pytest.fixture
def lhotse():
    return pytest.importorskip("lhotse")


@pytest.fixture
def cut(lhotse, write_tone):
    """One second from half a second into a tone of two."""
    recording = lhotse.Recording.from_file(write_tone("tone.flac", 2.0))
    supervision = lhotse.SupervisionSegment(
        "s", recording.id, start=0.0, duration=1.0, text="hello", speaker="anna"
    )
    return lhotse.MonoCut(
        "cut-1", 0.5, 1.0, channel=0, recording=recording, supervisions=[supervision]
    )


@pytest.fixture
def save(lhotse, tmp_path):
    def write(*cuts, name="cuts.jsonl.gz"):
        path = tmp_path / name
        lhotse.CutSet.from_cuts(cuts).to_file(path)
        return path

    return write


@pytest.mark.parametrize("name", ["cuts.jsonl", "cuts.jsonl.gz"])
def test_cuts_with_offsets_are_read(cut, save, name):
    corpus = read_corpus(save(cut, cut.with_id("cut-2"), name=name))
    first, second = corpus.utterances
    assert corpus.name.endswith("/cuts")
    assert (first.id, second.id) == ("cut-1", "cut-2")
    assert (first.text, first.speaker, first.duration) == ("hello", "anna", 1.0)
    assert (first.audio.start, first.audio.duration) == (0.5, 1.0)
    assert read_utterance(first, 16000) == pytest.approx(cut.load_audio()[0], abs=1e-4)


def without_text(cut):
    cut.supervisions[0].text = None
    return cut


def with_two_channels(cut):
    cut.recording.sources[0].channels = cut.recording.channel_ids = [0, 1]
    return cut


def from_a_command(cut):
    cut.recording.sources[0].type = "command"
    return cut


def from_nowhere(cut):
    cut.recording.sources[0].source = "nowhere.flac"
    return cut


def without_supervision(cut):
    cut.supervisions = []
    return cut


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cut: cut.pad(3.0), "MixedCut is not understood"),
        (lambda cut: cut.perturb_speed(1.1), "no transforms"),
        (without_supervision, "no single supervision"),
        (without_text, "no single supervision with a text"),
        (with_two_channels, "one channel"),
        (from_a_command, "not of one file"),
        (from_nowhere, "nowhere.flac does not exist"),
    ],
)
def test_what_cannot_be_mapped_is_refused_by_line(cut, save, lhotse, change, message):
    other = lhotse.MonoCut.from_dict({k: v for k, v in cut.to_dict().items() if k != "type"})
    path = save(cut, change(other.with_id("cut-2")))
    with pytest.raises(InputError) as caught:
        read_corpus(path)
    assert f"{path}, line 2: " in str(caught.value)
    assert message in str(caught.value)


def test_broken_cuts_are_named(lhotse, tmp_path):
    path = tmp_path / "cuts.jsonl"
    path.write_text('{"type": "MonoCut", "id": "a"}\n')
    with pytest.raises(InputError, match=r"cuts\.jsonl, line 1 is not valid in lhotse"):
        read_corpus(path)


def test_a_truncated_archive_is_named(cut, save):
    path = save(cut, *(cut.with_id(f"cut-{n}") for n in range(2, 2000)))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"cuts\.jsonl\.gz cannot be read"):
        read_corpus(path)


def test_ids_must_be_unique(cut, tmp_path):
    path = tmp_path / "cuts.jsonl.gz"
    path.write_bytes(gzip.compress(f"{json.dumps(cut.to_dict())}\n".encode() * 2))
    with pytest.raises(InputError, match=r"two utterances of .* have the id 'cut-1'"):
        read_corpus(path)


def test_without_lhotse_the_message_says_what_to_install(cut, save, monkeypatch):
    path = save(cut)
    monkeypatch.setitem(sys.modules, "lhotse", None)
    with pytest.raises(InputError, match=r"pip install 'sottovoce\[lhotse\]'"):
        read_corpus(path)
