"""Segments of an utterance that two systems can be compared in: MAPSSWE's unit.

A segment opens where either system errs and closes after two reference words in a row that both
got right, with nothing inserted between them, or at the utterance's end. So the errors of different
segments are about independent (Gillick & Cox, ICASSP 1989), as errors within one are not.

| reference | a   | b     | c     | d     | e   | f     | g     |         |
|-----------|-----|-------|-------|-------|-----|-------|-------|---------|
| system A  | a   | **x** | c     | **-** | e   | f     | g     |         |
| system B  | a   | b     | **x** | d     | e   | f     | g     | **+ h** |
|           |     | first segment: A 2, B 1 |  |     |       |       | second: A 0, B 1 |
"""

from collections.abc import Iterator

from sottovoce.scoring.alignment import Alignment

RIGHT_WORDS_BETWEEN = 2

SegmentErrors = tuple[int, int]
"""Errors of system A and of system B in one segment, not both 0."""


def segment_errors(a: Alignment, b: Alignment) -> list[SegmentErrors]:
    """The segments of one utterance; `a` and `b` align the same reference words."""
    segments: list[SegmentErrors] = []
    errors_a = errors_b = right = 0
    for (inserted_a, wrong_a), (inserted_b, wrong_b) in zip(_slots(a), _slots(b), strict=True):
        errors_a += inserted_a + wrong_a
        errors_b += inserted_b + wrong_b
        if inserted_a or inserted_b:
            right = 0
        right = 0 if wrong_a or wrong_b else right + 1
        if right >= RIGHT_WORDS_BETWEEN and (errors_a or errors_b):
            segments.append((errors_a, errors_b))
            errors_a = errors_b = 0
    if errors_a or errors_b:
        segments.append((errors_a, errors_b))
    return segments


def _slots(alignment: Alignment) -> Iterator[tuple[int, bool]]:
    """For each reference word the words inserted before it and whether it is wrong.

    One slot more, never wrong, holds what is inserted at the end.
    """
    inserted = 0
    for reference, hypothesis in alignment.pairs:
        if reference is None:
            inserted += 1
        else:
            yield inserted, reference != hypothesis
            inserted = 0
    yield inserted, False
