import pytest

from sottovoce.errors import InputError
from sottovoce.speech.audio import read_utterance
from sottovoce.speech.corpora import read_corpus


@pytest.fixture
def chapter(tmp_path, write_tone):
    write_tone("dev/12/34/12-34-0000.flac", 0.5)
    write_tone("dev/12/34/12-34-0001.flac", 0.75)
    transcripts = tmp_path / "dev" / "12" / "34" / "12-34.trans.txt"
    transcripts.write_text("12-34-0000 HELLO WORLD\n12-34-0001 IT'S ME\n")
    return transcripts


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_any_folder_of_the_tree_is_a_corpus(chapter, depth):
    first, second = read_corpus(chapter.parents[depth]).utterances
    assert (first.id, first.text, first.speaker) == ("12-34-0000", "HELLO WORLD", "12")
    assert (second.text, second.duration) == ("IT'S ME", 0.75)


def test_a_transcript_without_audio_is_named(chapter):
    (chapter.parent / "12-34-0001.flac").unlink()
    with pytest.raises(InputError, match=r"trans\.txt, line 2: 12-34-0001 has no audio"):
        read_corpus(chapter.parent)


def test_a_line_without_a_transcript_is_named(chapter):
    chapter.write_text("12-34-0000 HELLO\n\n12-34-0001\n")
    with pytest.raises(InputError, match=r"trans\.txt, line 3 is no id followed by"):
        read_corpus(chapter.parent)


def test_a_transcript_of_another_encoding_is_named(chapter):
    chapter.write_bytes("12-34-0000 CAFÉ".encode("latin-1"))
    with pytest.raises(InputError, match=r"trans\.txt is not UTF-8"):
        read_corpus(chapter.parent)


def test_an_id_twice_in_the_tree_is_named(chapter):
    chapter.write_text("12-34-0000 HELLO\n12-34-0000 HELLO\n12-34-0001 HELLO\n")
    with pytest.raises(InputError, match=r"two utterances of .* have the id '12-34-0000'"):
        read_corpus(chapter.parent)


def test_the_folder_and_the_manifest_of_the_same_speech_agree(shared):
    folder = shared / "data" / "librispeech-mini"
    tree = read_corpus(folder / "LibriSpeech" / "dev")
    manifest = read_corpus(folder / "dev.jsonl")
    assert tree.name == "LibriSpeech/dev"
    assert {(u.id, u.text.lower(), u.speaker, round(u.duration, 2)) for u in tree.utterances} == {
        (u.id.split("/")[-1], u.text, u.speaker, round(u.duration, 2)) for u in manifest.utterances
    }
    assert len(read_utterance(tree.utterances[0], 16000)) > 16000


def test_audio_without_a_transcript_is_told(chapter):
    chapter.write_text("12-34-0000 HELLO\n")
    with pytest.raises(InputError, match=r"1 of 2 FLAC files have no transcript.*12-34-0001\.flac"):
        read_corpus(chapter.parent)


def test_a_chapter_without_transcripts_is_told(chapter):
    other = chapter.parent.parent / "56"
    other.mkdir()
    source = next(chapter.parent.glob("*.flac"))
    (other / "12-56-0000.flac").write_bytes(source.read_bytes())
    with pytest.raises(InputError, match=r"1 of 3 FLAC files have no transcript.*12-56-0000\.flac"):
        read_corpus(chapter.parent.parent)
