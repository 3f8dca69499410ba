"""`.trn` files: there and back, and what is refused."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sottovoce.errors import InputError
from sottovoce.scoring import Transcripts

AWKWARD = Transcripts(
    "awkward.trn",
    {
        "plain": ("anna", ("hello", "world")),
        "1272-128104-0000": ("1272", ("mister", "quilter")),
        "train/a b.flac": ("Anna-Maria von (Test)", ("yes",)),
        "50%25 100%": ("100%", ()),
        'quote"{x}': ("", ("nothing", "known")),
        "Übung\u00a01": ("Jürgen\tB", ("schön", "(uh)")),
    },
)


def read(folder: Path, text: str) -> Transcripts:
    path = folder / "given.trn"
    path.write_text(text, encoding="utf-8")
    return Transcripts.read_trn(path)


def test_awkward_ids_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "awkward.trn"
    AWKWARD.write_trn(path)
    back = Transcripts.read_trn(path)
    assert back == AWKWARD
    assert list(back.utterances) == list(AWKWARD.utterances)
    assert [file.name for file in tmp_path.iterdir()] == ["awkward.trn"]


def test_lines_are_sclites(tmp_path: Path) -> None:
    AWKWARD.write_trn(tmp_path / "awkward.trn")
    lines = (tmp_path / "awkward.trn").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "hello world (anna-plain)"
    assert lines[1] == "mister quilter (1272-1272-128104-0000)"
    assert lines[2] == "yes (Anna%2DMaria%20von%20%28Test%29-train/a%20b.flac)"
    assert lines[3] == "(100%25-50%2525%20100%25)"


@pytest.mark.skipif(shutil.which("sctk") is None, reason="SCTK is not installed: no `sctk` on PATH")
def test_sclite_reads_awkward_ids(tmp_path: Path) -> None:
    AWKWARD.write_trn(tmp_path / "awkward.trn")
    files = ["-r", "awkward.trn", "trn", "-h", "awkward.trn", "trn", "-o", "sgml", "stdout"]
    command = ["sctk", "sclite", "-i", "spu_id", *files]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.count("<PATH id=") == len(AWKWARD.utterances)
    assert "Error" not in done.stderr


def test_comments_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    found = read(tmp_path, "\ufeff;; made by hand\n\none two (s-1)\n (s-2)\n")
    assert found.utterances == {"1": ("s", ("one", "two")), "2": ("s", ())}


def test_ids_that_speakers_share_are_read_whole(tmp_path: Path) -> None:
    found = read(tmp_path, "one (anna-1)\ntwo (ben-1)\nthree (ben-2)\n")
    assert list(found.utterances) == ["anna-1", "ben-1", "ben-2"]
    found.write_trn(tmp_path / "given.trn")
    assert Transcripts.read_trn(tmp_path / "given.trn") == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one (s-1)\ntwo words\n", "given.trn, line 2 does not end in (SPEAKER-UTTERANCE)"),
        ("one (utterance)\n", "line 1 does not end in (SPEAKER-UTTERANCE)"),
        ("one (s-1\n", "line 1 does not end in"),
        ("one (s-)\n", "line 1 does not end in"),
        ("one (s-1)\ntwo (s-2)\nthree (s-1)\n", "line 3: speaker 's' has utterance '1' a second"),
        ("one { two / three } (s-1)\n", "line 1 holds '{', sclite's mark"),
        ("one (s-%FF)\n", "line 1: the percent escapes"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
    assert str(tmp_path / "given.trn") in str(caught.value)


def test_a_file_that_is_missing_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.trn does not exist or is not a file"):
        Transcripts.read_trn(tmp_path / "absent.trn")
    (tmp_path / "latin.trn").write_bytes("schön (s-1)".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.trn is not UTF-8"):
        Transcripts.read_trn(tmp_path / "latin.trn")


@pytest.mark.parametrize(
    ("utterance", "speaker", "words", "message"),
    [
        ("", "s", ("one",), "an utterance has an empty id"),
        ("u", "s", ("one two",), "utterance 'u' holds the word 'one two'"),
        ("u", "s", ("",), "holds the word ''"),
        ("u", "s", ("%40",), "would be read back as another"),
        ("u", "s", ("\ud800",), "UTF-8 has no form for"),
        ("u\ud800 ", "s", ("one",), "UTF-8 has no form for"),
    ],
)
def test_what_no_line_can_hold_is_refused(
    tmp_path: Path, utterance: str, speaker: str, words: tuple[str, ...], message: str
) -> None:
    path = tmp_path / "kept.trn"
    path.write_text("as it was (s-1)\n")
    with pytest.raises(InputError) as caught:
        Transcripts("broken", {utterance: (speaker, words)}).write_trn(path)
    assert message in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["kept.trn"]
    assert path.read_text() == "as it was (s-1)\n"


def test_words_that_are_marks_of_sclite_s_come_back(tmp_path: Path) -> None:
    """A vocabulary may hold them, and a recogniser may write them after hours of training."""
    words = (";;", "{", "a}b", "@", "@home", "100%", ";;")
    given = Transcripts("given.trn", {"1": ("s", words), "2": ("s", ())})

    given.write_trn(tmp_path / "given.trn")

    assert Transcripts.read_trn(tmp_path / "given.trn") == given
    assert (tmp_path / "given.trn").read_text().startswith("%3B; %7B a%7Db %40 @home 100% ;; (s-1)")


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"awkward.trn cannot be written"):
        AWKWARD.write_trn(tmp_path / "absent" / "awkward.trn")


def test_text_of_another_program_is_brought_to_one_unicode_form(tmp_path: Path) -> None:
    """As macOS writes it: decomposed, here with a mark of direction and a no-break space too."""
    decomposed, composed = tmp_path / "nfd.trn", tmp_path / "nfc.trn"
    decomposed.write_text(
        "cafe\u0301\u00a0ouvert\u200f \u00ad (e\u0301ric-\u00e9-1)\n", encoding="utf-8"
    )
    composed.write_text("café ouvert (éric-é-1)\n", encoding="utf-8")
    read = Transcripts.read_trn(decomposed).utterances
    assert (
        read == Transcripts.read_trn(composed).utterances == {"é-1": ("éric", ("café", "ouvert"))}
    )


def test_ids_that_differ_in_their_unicode_form_alone_are_refused() -> None:
    with pytest.raises(InputError, match="two forms of Unicode"):
        Transcripts("made", {"\u00e9": ("", ("a",)), "e\u0301": ("", ("b",))})
