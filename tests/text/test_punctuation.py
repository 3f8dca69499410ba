import string

import pytest

from sottovoce.text.punctuation import without_punctuation
from sottovoce.text.unicode_form import canonical

LATIN = frozenset(string.ascii_letters + string.digits + "' ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ｈｅｌｌｏ　ｗｏｒｌｄ１２！", "Hello world12"),
        ("ﬁne oﬀer", "fine offer"),
        ("a\u200bb\u00adc\ufeff \u200fd\u202ee\u2066f", "abc def"),
        ("a\u200cb a\u200db", "ab ab"),
        ("a\u00a0b\u202fc\u2009d\u2028e", "a b c d e"),
        ("straße", "strasse"),
        ("5 ％ m²", "5 ％ m²"),
        ("№ ½ ‰ $", "№ ½ ‰ $"),
    ],
)
def test_the_same_letters_in_another_shape_are_written(text: str, expected: str) -> None:
    assert without_punctuation(text, LATIN) == expected


def test_what_the_vocabulary_has_is_kept() -> None:
    assert without_punctuation("οδος", frozenset("οδσ")) == "οδοσ"
    assert without_punctuation("οδος", frozenset("οδσς")) == "οδος"
    assert without_punctuation("a\u200cb, c-d", frozenset("abcd\u200c-")) == "a\u200cb c-d"
    assert without_punctuation("ｱ", frozenset("ア")) == "ア"


def test_compared_text_has_one_form() -> None:
    assert canonical("cafe\u0301\u00a0 ouvert\ufeff\u200f") == "café ouvert"
    assert canonical("می\u200cخواهم") == "می\u200cخواهم"
    assert canonical("don't  stop") == "don't stop"
    assert canonical("don’t donʼt don＇t boys’") == "don't don't don't boys'"
