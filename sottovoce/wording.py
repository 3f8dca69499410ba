"""Numbers and names in sentences."""

import unicodedata

_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of controls, halves of characters, and ends of lines and paragraphs."""
_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What writes the text behind it in another direction."""


def plural(number: float, noun: str) -> str:
    """A number with its noun, which takes an s: "1 layer", "2,304 words"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def printable(text: object) -> str:
    """Text as a terminal can show it on one line, whatever is in a name: controls are escaped.

    What a checkpoint or a corpus calls its things could otherwise move the cursor, colour or erase
    what stands there, or add lines of its own.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(
        one.encode("unicode_escape").decode("ascii") if _is_control(one) else one for one in text
    )


def printable_lines(text: object) -> str:
    """The same of text that may have several lines."""
    return "\n".join(map(printable, str(text).split("\n")))


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in _UNPRINTABLE or character in _OVERRIDES
