"""What can be refused of a command line before anything heavy is loaded."""

from collections.abc import Iterable
from pathlib import Path

from sottovoce.files import refuse_missing, refuse_taken
from sottovoce.models.places import refuse_no_place


def check_places(
    *,
    models: Iterable[str | Path | None] = (),
    speech: Iterable[str | Path | None] = (),
    out: Path | None = None,
) -> None:
    """See that what is read is there, and that what is written is not.

    Args:
        models: hub ids or folders.

    Raises:
        InputError: there is no such model or speech, or `out` cannot be made.
    """
    if out is not None:
        refuse_taken(out)
    for model in models:
        if model is not None:
            refuse_no_place(model)
    for path in speech:
        if path is not None:
            refuse_missing(path)
