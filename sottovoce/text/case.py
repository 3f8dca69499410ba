"""Upper and lower case, by the letters of a vocabulary: they tell which rules its language has."""

from collections.abc import Callable, Iterable
from functools import partial

from sottovoce.text.unicode_form import composed

Convert = Callable[[str], str]

_TURKIC_LETTERS = frozenset("abcçdefgğhıijklmnoöprsştuüvyzâîûəäxqwñňýžêţúūŋéóʼʻ")
"""Lower-case letters of Turkish, Azerbaijani and other Latin alphabets with a dotless i."""
_DOT_ABOVE = "\u0307"
_DOTTED = {ord("i"): "İ", ord("ı"): "I"}
_LEAST_SHARE = 0.1
"""Of ı for each i in Turkic text, whose languages have two in three to one in three."""


def case_of(letters: Iterable[str]) -> Convert:
    """Return the function that takes composed text to the one case that all of the letters have.

    A letter that is several in the other case ("ß") has none, and stays as it is where the letters
    have it. Among letters with ı or İ, I is ı's capital and İ is i's.

    Returns:
        `str` itself, which changes nothing, where the letters have both cases or none.
    """
    letters = frozenset(letters)
    single = {letter for letter in letters if len(letter.upper()) == 1 and len(letter.lower()) == 1}
    cased = [letter for letter in single | (letters & {"İ"}) if letter.upper() != letter.lower()]
    if cased and all(letter == letter.upper() for letter in cased):
        return partial(upper, turkic=is_turkic(letters), kept=letters - single | letters & {"ẞ"})
    if cased and all(letter == letter.lower() for letter in cased):
        return partial(lower, turkic=is_turkic(letters))
    return str


def is_turkic(letters: Iterable[str]) -> bool:
    """True for a vocabulary of a language that writes i with and without dot."""
    letters = frozenset(letters)
    if letters.isdisjoint("ıİ") or _DOT_ABOVE in letters:  # which Python's lower() makes of İ
        return False
    return {lower(letter, turkic=True) for letter in letters if letter.isalpha()} <= _TURKIC_LETTERS


def reads_turkic(text: str) -> bool:
    """True for text of such a language: it writes both letters, not one in a foreign name."""
    rarer, commoner = ("İ", "I") if text.isupper() else ("ı", "i")
    return text.count(rarer) > _LEAST_SHARE * text.count(commoner)


def lower(text: str, *, turkic: bool) -> str:
    """Composed text in lower case."""
    if turkic:
        text = text.replace("İ", "i").replace("I", "ı")
    return composed(text.lower())


def upper(text: str, *, turkic: bool, kept: frozenset[str] = frozenset()) -> str:
    """Composed text in upper case.

    Args:
        kept: letters that stay as they are, such as ß; where ẞ is one, ß becomes it.
    """
    sharp_s = "ẞ" if "ẞ" in kept else "ß"  # which becomes SS where it is not kept
    text = text.replace("ẞ", "ß").replace("ß", sharp_s)
    if turkic:
        text = text.replace(f"i{_DOT_ABOVE}", "i").translate(_DOTTED)
    return composed("".join(letter if letter in kept else letter.upper() for letter in text))
