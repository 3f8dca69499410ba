"""Numbers in sentences."""

from pathlib import Path

from sottovoce.wording import plural, printable


def test_one_takes_no_s():
    assert [plural(number, "word") for number in (0, 1, 2, 1.6, 2304)] == [
        *("0 words", "1 word", "2 words", "1.6 words", "2,304 words"),
    ]


def test_controls_in_names_are_escaped() -> None:
    assert printable("a\x1b[31m\nb\r\t\x9b\u202e\u2028\udc80") == (
        r"a\x1b[31m\nb\r\t\x9b\u202e\u2028\udc80"
    )
    for text in ("é ß 你好", "می\u200cخواهم", "a\u00a0b", Path("some") / "file"):
        assert printable(text) == str(text)
