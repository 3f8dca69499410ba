"""Both systems' words under the reference's, errors marked by sign and line as well as colour."""

from dataclasses import dataclass
from itertools import zip_longest

from sottovoce.record import Change, Pairs
from sottovoce.report.markup import Markup, tag
from sottovoce.wording import plural


@dataclass(frozen=True)
class Column:
    """One place of both alignments; a word is None where there is none."""

    reference: str | None
    before: str | None
    after: str | None


def columns_of(before: Pairs, after: Pairs) -> tuple[Column, ...]:
    """Merge two alignments to one reference; words inserted at the same place share a column."""
    columns: list[Column] = []
    for earlier, later in zip(_by_reference(before), _by_reference(after), strict=True):
        inserted = zip_longest(earlier.inserted, later.inserted)
        columns += [Column(None, left, right) for left, right in inserted]
        if earlier.reference is not None:
            columns.append(Column(earlier.reference, earlier.word, later.word))
    return tuple(columns)


@dataclass(frozen=True)
class _Place:
    """A reference word, what was heard for it, and what was heard just before it."""

    inserted: tuple[str, ...]
    reference: str | None
    word: str | None


def _by_reference(pairs: Pairs) -> list[_Place]:
    """A place for every reference word and one, without a word, for the end."""
    places: list[_Place] = []
    inserted: list[str] = []
    for reference, word in pairs:
        if reference is None:
            inserted.append(word or "")
            continue
        places.append(_Place(tuple(inserted), reference, word))
        inserted = []
    return [*places, _Place(tuple(inserted), None, None)]


def change_diff(change: Change) -> Markup:
    """One utterance: a heading with its error counts, and its words in three lines that wrap."""
    return tag(
        "article",
        tag(
            "h3",
            change.utterance,
            tag("span", f"speaker {change.speaker}"),
            tag("span", f"{change.errors_before} → {plural(change.errors_after, 'error')}"),
        ),
        tag(
            "div",
            tag("div", *map(_line_name, ("reference", "before", "after")), class_="names"),
            tag("div", *map(_stack, columns_of(change.before, change.after)), class_="words"),
            class_="diff",
        ),
    )


def legend() -> Markup:
    """The meaning of the marks."""
    return tag(
        "p",
        tag("span", _word("said", "heard"), " another word"),
        tag("span", _word("said", None), " a word left out"),
        tag("span", _word(None, "heard"), " a word too many"),
        class_="legend",
    )


def _line_name(name: str) -> Markup:
    return tag("span", name)


def _stack(column: Column) -> Markup:
    return tag(
        "span",
        tag("span", column.reference or "\N{NO-BREAK SPACE}"),
        _word(column.reference, column.before),
        _word(column.reference, column.after),
    )


def _word(reference: str | None, word: str | None) -> Markup:
    if reference == word:
        return tag("span", word or "\N{NO-BREAK SPACE}", class_="right")
    if word is None:
        return tag("del", reference, title=f"left out: {reference}")
    if reference is None:
        return tag("ins", word, title=f"too many: {word}")
    return tag("mark", word, title=f"{word} for {reference}")
