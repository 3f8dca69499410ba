"""Transcripts as a vocabulary can write them: its punctuation, and none beside it."""

import unicodedata
from collections.abc import Container

from sottovoce.text.quotes import APOSTROPHES, without_quotes
from sottovoce.text.unicode_form import composed, is_invisible

_SPOKEN_PUNCTUATION = "%&@#‰٪"
"""Unicode files these under punctuation, but each stands for a word: dropping them is an error."""
_DOT_ABOVE = "\u0307"
_SAME_LETTERS = {"ς": "σ", "ß": "ss"}
_OTHER_SHAPES = ("<wide>", "<narrow>", "<compat>", "<isolated>", "<initial>", "<medial>", "<final>")
"""Of Unicode's compatibility characters those that are the same letters: Ａ, ﬁ, ﻻ; but not ²."""


def without_punctuation(text: str, known: Container[str]) -> str:
    """Text with the punctuation that is not `known` left out, and single spaces.

    Characters that are not known are written by known ones where they are the same letters in
    another shape; else they stay.
    """
    text = without_quotes(composed(text), known)
    kept = (
        character if character in known else _substitute(character, known) for character in text
    )
    return " ".join("".join(kept).split())


def is_punctuation(character: str) -> bool:
    """True for a mark that parts words or sentences, which an apostrophe does not."""
    return unicodedata.category(character)[0] == "P" and character not in APOSTROPHES


def _substitute(character: str, known: Container[str]) -> str:
    """Return the text written for a character that is not in the vocabulary."""
    if character in APOSTROPHES:
        return next((apostrophe for apostrophe in APOSTROPHES if apostrophe in known), "")
    for letters in _as_other_letters(character):
        if letters and all(letter in known for letter in letters):
            return letters
    if character == _DOT_ABOVE:  # what lower case leaves of "İ"
        return ""
    if is_invisible(character):
        return ""
    plain = unicodedata.normalize("NFKC", character)  # of a full-width sign the usual one
    if unicodedata.category(character)[0] == "P" and plain not in _SPOKEN_PUNCTUATION:
        return " "
    return character


def _as_other_letters(character: str) -> tuple[str, ...]:
    """The same letters as Unicode has them elsewhere."""
    shape = unicodedata.decomposition(character).split(" ")[0]
    is_symbol = unicodedata.category(character)[0] == "S"  # № is a word
    same = shape in _OTHER_SHAPES and not is_symbol
    plain = unicodedata.normalize("NFKC", character) if same else ""
    decomposed = unicodedata.normalize("NFD", character)
    return (decomposed if len(decomposed) > 1 else "", plain, _SAME_LETTERS.get(character, ""))
