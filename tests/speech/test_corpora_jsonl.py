import json
import os

import pytest

from sottovoce.errors import InputError
from sottovoce.speech.audio import read_utterance
from sottovoce.speech.corpora import read_corpus


@pytest.fixture
def manifest(tmp_path, write_tone):
    """Writes a manifest of the given lines beside two tones, a/1.flac and a/2.flac."""
    write_tone("a/1.flac", 1.0)
    write_tone("a/2.flac", 1.5)

    def write(*lines):
        path = tmp_path / "speech.jsonl"
        path.write_text(
            "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        )
        return path

    return write


def line(number=1, **fields):
    return {"audio_filepath": f"a/{number}.flac", "text": "hello"} | fields


def refused(path):
    with pytest.raises(InputError) as caught:
        read_corpus(path)
    assert str(path) in str(caught.value)
    return str(caught.value).removeprefix(str(path))


def test_fields_are_read_and_what_is_left_out_is_found(manifest):
    path = manifest(
        line(1), "", line(2, id="second", duration=1.6, speaker="anna", text="Wörld", other=3)
    )
    first, second = read_corpus(path).utterances
    assert (first.id, first.duration, first.text, first.speaker) == ("a/1", 1.0, "hello", "")
    assert (second.id, second.duration, second.text) == ("second", 1.6, "Wörld")
    assert second.speaker == "anna"
    assert len(read_utterance(second, 16000)) == 24000


def test_ids_and_speakers_may_be_numbers(manifest):
    first, second = read_corpus(manifest(line(1, id=0, speaker=2), line(2))).utterances
    assert (first.id, first.speaker, second.id) == ("0", "2", "a/2")


def test_audio_may_be_named_absolutely_and_from_another_folder(manifest, tmp_path, monkeypatch):
    path = manifest(line(audio_filepath=str(tmp_path / "a" / "1.flac")), line(2))
    monkeypatch.chdir(tmp_path.parent)
    relative = path.relative_to(tmp_path.parent)
    ids = [utterance.id for utterance in read_corpus(relative).utterances]
    assert ids == [(tmp_path / "a" / "1").as_posix(), "a/2"]


def test_an_offset_that_is_null_is_none(manifest):
    (utterance,) = read_corpus(manifest(line(2, offset=None, duration=1.5))).utterances
    assert utterance.audio.duration is None
    with pytest.raises(InputError, match=r"has 1.50 s of audio where its corpus states 0.25 s"):
        read_corpus(manifest(line(2, offset=None, duration=0.25)))


def test_a_segment_is_read_from_its_offset(manifest):
    (utterance,) = read_corpus(manifest(line(2, offset=0.5, duration=0.25))).utterances
    assert len(read_utterance(utterance, 16000)) == 4000
    (rest,) = read_corpus(manifest(line(2, offset=0.5))).utterances
    assert rest.duration == 1.0
    assert len(read_utterance(rest, 16000)) == 16000


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('{"audio_filepath": "a/2.flac", ', "line 2 is not valid JSON"),
        ("[1, 2]", "line 2 is not a JSON object"),
        ({"text": "hello"}, 'line 2 has no "audio_filepath"'),
        ({"audio_filepath": "a/2.flac"}, 'line 2 has no "text"'),
        (line(2, text=5), '"text" is 5; it must be a string'),
        (line(2, id=[7]), '"id" is [7]; it must be a string'),
        (line(2, speaker=True), '"speaker" is True; it must be a string'),
        (line(2, duration="1.0"), "\"duration\" is '1.0'; it must be a number"),
        (line(2, duration=True), '"duration" is True; it must be a number'),
        (line(2, duration=-1), '"duration" is -1; it must be a positive number'),
        (line(2, duration=float("nan")), '"duration" is nan'),
        (line(2, duration=0), '"duration" is 0'),
        (line(2, offset=10**400), "must be a positive number"),
        (f'{{"id": {"9" * 5000}}}', "line 2 is not valid JSON"),
        ("[" * 100_000, "line 2 is nested too deeply"),
        (line(audio_filepath="a" * 5000), "does not exist"),
        (line(2, offset=9), "past the end"),
        (line(3), "3.flac does not exist"),
        (line(audio_filepath="a"), "not a file"),
    ],
)
def test_a_bad_line_is_named(manifest, bad, message):
    said = refused(manifest(line(1), bad))
    assert ", line 2" in said
    assert message in said.removeprefix(", ")


def test_what_is_null_is_not_given(manifest):
    """As pandas and NeMo write a column with gaps, which makes whole numbers floats."""
    path = manifest(line(1, id=None, speaker=None), line(2, speaker=3.0))
    first, second = read_corpus(path).utterances
    assert (first.id, first.speaker, second.speaker) == ("a/1", "", "3")


def test_what_no_file_can_hold_is_refused(manifest):
    with pytest.raises(InputError, match=r"'a/1' of .* has text with half a character"):
        read_corpus(manifest(line(1, text="hello \ud83d")))
    with pytest.raises(InputError, match="has an empty id"):
        read_corpus(manifest(line(1, id="")))


def test_duplicate_ids_name_both_lines(manifest):
    assert refused(manifest(line(1), line(2), line(1))).startswith(": lines 1 and 3 have the same")


def test_a_broken_first_line_and_other_encodings_are_named(manifest, tmp_path):
    assert refused(manifest("{")).startswith(", line 1 is not valid JSON")
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes('{"text": "é"}'.encode("latin-1"))
    assert refused(latin).startswith(", line 1 is not UTF-8")


def test_a_byte_order_mark_is_no_part_of_the_first_line(manifest):
    path = manifest(line(1))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_corpus(path).utterances) == 1


def test_an_empty_manifest_is_named(manifest):
    for empty in (manifest(), manifest("", "")):
        assert refused(empty) == " has no utterances"


def test_audio_without_a_stated_duration_must_open(manifest, tmp_path):
    (tmp_path / "a" / "1.flac").write_text("no audio")
    with pytest.raises(InputError, match=r"1\.flac cannot be decoded"):
        read_corpus(manifest(line(1)))


def test_the_commands_corpus(shared):
    corpus = read_corpus(os.fspath(shared / "data" / "commands" / "dev.jsonl"))
    assert corpus.name == "commands/dev"
    assert len(corpus.utterances) == 516
    first = corpus.by_id["00000002-00000"]
    assert (first.text, first.speaker) == ("assabiq assabiq la", "00000002")
    for utterance in corpus.utterances[::25]:
        assert len(read_utterance(utterance, 16000)) / 16000 == pytest.approx(
            utterance.duration, abs=0.01
        )


def test_the_librispeech_manifests(shared):
    folder = shared / "data" / "librispeech-mini"
    dev, train = read_corpus(folder / "dev.jsonl"), read_corpus(folder / "train.jsonl")
    assert (len(dev.utterances), len(train.utterances)) == (118, 1159)
    assert dev.hours == pytest.approx(sum(one.duration for one in dev.utterances) / 3600)
    for utterance in (*dev.utterances[::20], *train.utterances[::200]):
        assert len(read_utterance(utterance, 16000)) / 16000 == pytest.approx(
            utterance.duration, abs=0.01
        )
