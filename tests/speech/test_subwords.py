"""Labels that are pieces of words: a sentencepiece-like tokenizer as Parakeet has it."""

from pathlib import Path

import pytest
from tiny import subwords
from transformers import ParakeetTokenizer

from sottovoce.errors import InputError
from sottovoce.speech.subwords import SubwordLabels, labels_of

BLANK, UNKNOWN, SPACE, A, B, C, AB, WORD_C = range(8)


@pytest.fixture
def labels() -> SubwordLabels:
    found = labels_of(subwords())
    assert isinstance(found, SubwordLabels)
    return found


def test_the_blank_is_the_padding_token(labels: SubwordLabels) -> None:
    assert labels.blank == BLANK
    assert [labels.written[one] for one in (BLANK, UNKNOWN, A, AB)] == ["", "", "a", "ab"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ab c", [SPACE, AB, WORD_C]),
        ("cc  a", [WORD_C, C, SPACE, A]),
        ("AB, C!", [SPACE, AB, WORD_C]),
        ("", []),
    ],
)
def test_a_transcript_is_cut_as_the_tokenizer_cuts_it(
    labels: SubwordLabels, text: str, expected: list[int]
) -> None:
    assert labels.encode(text) == expected
    normalised = " ".join(text.lower().translate({ord(","): None, ord("!"): None}).split())
    assert labels.normalise(text) == normalised
    assert labels.decode(expected) == normalised


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ([BLANK, SPACE, SPACE, AB, AB, BLANK, WORD_C, BLANK], "ab c"),
        ([A, A, BLANK, A], "aa"),  # a blank keeps equal labels apart
        ([SPACE, A, UNKNOWN, B], "ab"),
        ([BLANK, BLANK], ""),
        ([WORD_C, WORD_C, SPACE, SPACE], "c"),
    ],
)
def test_repeats_collapse_before_blanks_go(
    labels: SubwordLabels, frames: list[int], text: str
) -> None:
    assert labels.decode(frames) == text
    theirs: str = subwords().decode(frames, skip_special_tokens=True)
    assert theirs.split() == text.split()


def test_what_the_vocabulary_cannot_write_is_named(labels: SubwordLabels) -> None:
    with pytest.raises(InputError, match=r"of utterance 'u7' has 'd', 'é', which"):
        labels.encode("a déc", "u7")


def test_a_saved_tokenizer_has_the_same_labels(labels: SubwordLabels, tmp_path: Path) -> None:
    subwords().save_pretrained(tmp_path)
    again = labels_of(ParakeetTokenizer.from_pretrained(tmp_path))
    assert again.written == labels.written
    assert again.encode("cab c") == labels.encode("cab c")


def test_a_tokenizer_without_padding_has_no_blank() -> None:
    tokenizer = subwords()
    tokenizer.pad_token = None
    with pytest.raises(InputError, match="no padding token, which is CTC's blank"):
        labels_of(tokenizer)
