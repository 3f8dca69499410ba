"""What the program prints: names from files and models cannot command the terminal."""

from collections.abc import Iterable
from typing import Any

import rich.console
from rich.segment import Segment

from sottovoce.wording import printable, printable_lines


def say(*columns: object) -> None:
    """Print one line at once; what it holds cannot add others."""
    print("\t".join(map(printable, columns)), flush=True)


class Console(rich.console.Console):
    """rich's, but that only rich itself sends controls to the terminal."""

    def out(self, *objects: Any, **options: Any) -> None:
        super().out(*map(printable, objects), **options)

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        return super()._render_buffer(map(_printable_segment, buffer))


def _printable_segment(segment: Segment) -> Segment:
    if segment.control or segment.text.isprintable():
        return segment
    return Segment(printable_lines(segment.text), segment.style)
