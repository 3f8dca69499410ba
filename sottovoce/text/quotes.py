"""Which marks around words are apostrophes, and which are quotation marks.

’ ends a quotation and stands for letters that are left out, and writers use ‘, ' and others alike:
where a mark stands tells most of it, and the mark that it makes a pair with the rest.
"""

import re
from collections.abc import Container

APOSTROPHES = "'’ʼ＇`´‘‛ʻ′"
"""What is written for an apostrophe, the likelier first."""
_CLOSED_BY = {"‘": "’'´", "‛": "’'", "`": "'´’`", "‚": "‘’'", **{mark: mark for mark in "'’＇´"}}
"""What opens a quotation, with what may close it."""
_ALWAYS_OPEN = "‘‛`‚"
_MARKS = frozenset(f"{APOSTROPHES}‚")
_LETTERS = "ʼʻ"
"""Of the marks what Unicode counts as letters; they never quote."""
_DOUBLE_QUOTES = '"“”„«»'
_DOUBLED = re.compile(r"``|''|’’|‘‘|´´|′′")
_ROCK_N_ROLL = re.compile(r"(?<!\w)['’‘`´＇]n['’‘`´＇](?!\w)", re.IGNORECASE)
_ELIDED = re.compile(
    r"(?:em|til|tisn?|twasn?|tweren?|twill|twould|twixt|neath|nother|\d0s)\b", re.IGNORECASE
)
"""Words that begin with an apostrophe, and are hardly words without it."""
_SENTENCE_MARKS = re.compile(r"[.,;:!?…]")


def without_quotes(text: str, known: Container[str]) -> str:
    """Text in which quotation marks of an apostrophe's shape are spaces, and apostrophes ' or what
    they were, if it is known.

    A pair of straight marks quotes a single word; more than one only in text with punctuation,
    since in 'e an' the boys' of a bare transcript all are apostrophes.

    Args:
        known: a vocabulary's characters. Where they have quotation marks, such as ", nothing is
            changed: the model writes them.
    """
    if _MARKS.isdisjoint(text) or any(mark in known for mark in _DOUBLE_QUOTES):
        return text
    text = _DOUBLED.sub(" ", text)
    quotes = _quotes(text)
    return "".join(
        _written(text, place, known, quotes) if character in _MARKS else character
        for place, character in enumerate(text)
    )


def _written(text: str, place: int, known: Container[str], quotes: Container[int]) -> str:
    mark = text[place]
    feet = mark == "′" and not _is_within_word(text, place)
    if place in quotes or feet or mark == "‚":
        return " "
    return mark if mark in known else "'"


def _quotes(text: str) -> set[int]:
    """Where quotation marks are."""
    apostrophes = {
        place for match in _ROCK_N_ROLL.finditer(text) for place in (match.start(), match.end() - 1)
    }
    quotes: set[int] = set()
    opened: list[int] = []
    for place, mark in enumerate(text):
        if mark not in _MARKS or mark in _LETTERS or place in apostrophes:
            continue
        before, after = _neighbours(text, place)
        if before.isspace() and after.isspace():
            quotes.add(place)
        elif not before.isspace() and not after.isalnum():
            opening = _opening(text, opened, place)
            if opening is not None:
                quotes.update((opening, place))
                del opened[opened.index(opening) :]
        elif not before.isalnum() and mark in _CLOSED_BY and not _ELIDED.match(text, place + 1):
            opened.append(place)
    return quotes


def _opening(text: str, opened: list[int], place: int) -> int | None:
    """Which of the opened quotations a mark at a word's end closes, the innermost first."""
    for opening in reversed(opened):
        if text[place] in _CLOSED_BY[text[opening]] and _is_pair(text, opening, place):
            return opening
    return None


def _is_pair(text: str, opening: int, place: int) -> bool:
    mark = text[opening]
    if not any(character.isspace() for character in text[opening:place]):
        return True
    if mark not in _ALWAYS_OPEN and (mark == "’" or not _SENTENCE_MARKS.search(text)):
        return False
    return not (_may_be_genitive(text, place) and _is_closed_later(text, opening, place))


def _may_be_genitive(text: str, place: int) -> bool:
    """True where a mark may end a genitive, as in the boys’ room."""
    return re.match(r"s\W\s+\w", text[place - 1 : place + 9], re.IGNORECASE) is not None


def _is_closed_later(text: str, opening: int, place: int) -> bool:
    """True where another mark before the next quotation closes this one with less doubt."""
    for later in range(place + 1, len(text)):
        before, after = _neighbours(text, later)
        if text[later] in _ALWAYS_OPEN and not before.isalnum() and after.isalnum():
            return False
        closes = text[later] in _CLOSED_BY[text[opening]] and not before.isspace()
        if closes and not after.isalnum() and not _may_be_genitive(text, later):
            return True
    return False


def _is_within_word(text: str, place: int) -> bool:
    return all(neighbour.isalpha() for neighbour in _neighbours(text, place))


def _neighbours(text: str, place: int) -> tuple[str, str]:
    """The characters on both sides; a space at the text's ends."""
    return text[place - 1 : place] or " ", text[place + 1 : place + 2] or " "
