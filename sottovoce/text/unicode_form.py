"""One Unicode form for all text that is compared."""

import unicodedata

_JOINERS = "\u200c\u200d"
"""Zero-width (non-)joiners, which spell words of Persian and of Indian languages."""

_APOSTROPHES = str.maketrans(dict.fromkeys("’ʼ＇", "'"))


def composed(text: str) -> str:
    """In Unicode's form NFC."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def is_invisible(character: str) -> bool:
    """True where it only guides a display: byte-order marks, soft hyphens, marks of direction."""
    return unicodedata.category(character) == "Cf"


def canonical(text: str) -> str:
    """Text as it is compared with other text: composed, single spaces, nothing invisible, and one
    apostrophe (').

    Zero-width joiners are kept: they tell words apart.
    """
    if not text.isascii():
        visible = (
            character for character in text if character in _JOINERS or not is_invisible(character)
        )
        text = composed("".join(visible)).translate(_APOSTROPHES)
    return " ".join(text.split())
