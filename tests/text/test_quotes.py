import string

import pytest

from sottovoce.text.punctuation import without_punctuation

ENGLISH = frozenset(string.ascii_letters + "' ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("‘Hello’ he said", "Hello he said"),
        ("‘Hello,’ he said.", "Hello he said"),
        ("He said ‘go home’", "He said go home"),
        ("“He said ‘go home’”", "He said go home"),
        ("‘He said “go home”’", "He said go home"),
        ("‘a ‘b’ c’ d", "a b c d"),
        ("the boys’ room", "the boys' room"),
        ("‘Yes’ said the boys’ teacher", "Yes said the boys' teacher"),
        ("‘The boys’ room’ is", "The boys' room is"),
        ("‘don’t’", "don't"),
        ("‘I’m O’Neill’s’ he said", "I'm O'Neill's he said"),
        ("‘Tis ’twas ’90s", "'Tis 'twas '90s"),
        ("‘tis the boys’ room", "'tis the boys' room"),
        ("rock ’n’ roll, rock ‘n’ roll", "rock 'n' roll rock 'n' roll"),
        ("‘I like rock ’n’ roll’ he said", "I like rock 'n' roll he said"),
        ("Give ’em a few o’ these", "Give 'em a few o' these"),
        ('„Hallo“ „so‟ ‚ja‘ ‚nein’ «oui» ‹non› "a"', "Hallo so ja nein oui non a"),
        ("``Hello'' and `yes' and `no`", "Hello and yes and no"),
        ("''Hello''", "Hello"),
        ("s’il l’homme s'il", "s'il l'homme s'il"),
        (
            "6′ 2″ don′t don´t don`t don＇t donʼt Hawaiʻi",
            "6 2 don't don't don't don't don't Hawai'i",
        ),
        ("'Hello' he said", "Hello he said"),
        ("'Go home,' he said.", "Go home he said"),
        ("'It's the boys' room,' she said.", "It's the boys' room she said"),
        ("'e an' the boys' friends", "'e an' the boys' friends"),
        ("THE BOYS' ROOM 'TIS", "THE BOYS' ROOM 'TIS"),
        ("’Hej’ sade han", "Hej sade han"),
        ("a ’ b ' c", "a b c"),
        ("’", ""),
    ],
)
def test_quotation_marks_are_told_from_apostrophes(text: str, expected: str) -> None:
    assert without_punctuation(text, ENGLISH | frozenset("0269")) == expected


def test_a_vocabulary_with_quotation_marks_keeps_them() -> None:
    assert without_punctuation('‘Hello’ "he"', ENGLISH | frozenset('‘’"')) == '‘Hello’ "he"'


def test_an_apostrophe_is_written_as_the_vocabulary_has_it() -> None:
    okina = frozenset("abceghiklmnoptuwʻ ")
    assert without_punctuation("hawai'i ‘okina hawai’i", okina) == "hawaiʻi ʻokina hawaiʻi"
    both = ENGLISH | frozenset("ʻ’")
    assert without_punctuation("‘a’ b’s cʻd", both) == "a b’s cʻd"
    assert without_punctuation("‘a’ b’s 'tis", frozenset("abist ")) == "a bs tis"
