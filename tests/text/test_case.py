import pytest

from sottovoce.text.case import case_of, lower, reads_turkic

TURKISH = "abcçdefgğhıijklmnoöprsştuüvyz"
AZERBAIJANI = "abcçdeəfgğhxıijkqlmnoöprsştuüvyz"
ENGLISH = "abcdefghijklmnopqrstuvwxyz"
UPPER_TURKISH = "ABCÇDEFGĞHIİJKLMNOÖPRSŞTUÜVYZ"


@pytest.mark.parametrize(
    ("letters", "text", "expected"),
    [
        (TURKISH, "DIŞ ISPARTA İSTANBUL", "dış ısparta istanbul"),
        (AZERBAIJANI, "QIZIL İLƏ", "qızıl ilə"),
        (UPPER_TURKISH, "istanbul ısparta i\u0307", "İSTANBUL ISPARTA İ"),
        (AZERBAIJANI.upper().replace("I", "İ", 1) + "I", "ilə qızıl", "İLƏ QIZIL"),
        (TURKISH + "\u0307", "DIŞ İl", "diş i\u0307l"),  # learnt from what Python lowered
        (ENGLISH, "I İstanbul", "i i\u0307stanbul"),
        (ENGLISH + "ıñøł", "I AM", "i am"),
        (ENGLISH.upper(), "straße ﬁ", "STRASSE FI"),
        (ENGLISH.upper(), "STRAẞE", "STRASSE"),
        (ENGLISH.upper() + "ß", "straße STRAẞE", "STRAßE STRAßE"),
        (ENGLISH.upper() + "ẞ", "straße STRAẞE", "STRAẞE STRAẞE"),
        (ENGLISH + "ß", "STRAẞE", "straße"),
        ("αβγδοσς", "ΟΔΟΣ ΣΟΔΑ", "οδος σοδα"),
        ("ΑΒΓΔΟΣ", "οδος", "ΟΔΟΣ"),
        ("aA", "Ab", "Ab"),
        ("אב", "Ab", "Ab"),
    ],
)
def test_text_takes_the_case_of_the_letters(letters: str, text: str, expected: str) -> None:
    assert case_of(letters)(text) == expected


def test_turkish_text_is_told_from_a_foreign_name() -> None:
    assert reads_turkic("dışarıda bir kız")
    assert reads_turkic("DIŞARIDA BİR KIZ")
    assert not reads_turkic("İstanbul is big")
    assert not reads_turkic("I went to Diyarbakır in winter, which is the right time; it is white")
    assert not reads_turkic("I LIKE IT IN İSTANBUL, IT IS WHITE IN WINTER, IF IT IS")
    assert not reads_turkic("")


def test_lower_case_is_composed() -> None:
    assert lower("É", turkic=False) == lower("E\u0301", turkic=False) == "é"
