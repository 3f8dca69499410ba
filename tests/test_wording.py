"""Numbers in sentences."""

from sottovoce.wording import counted


def test_one_takes_no_s():
    assert [counted(number, "word") for number in (0, 1, 2, 1.6, 2304)] == [
        *("0 words", "1 word", "2 words", "1.6 words", "2,304 words"),
    ]
