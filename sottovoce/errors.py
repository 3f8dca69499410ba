"""The one exception a user's mistake raises."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence that names the file, line or layer and the mend; the command line
    prints it and exits with status 2.
    """


class AudioError(InputError):
    """Audio of one utterance cannot be read; others may be."""


class Interrupted(Exception):  # noqa: N818 - nothing is in error
    """The user stopped a run (Ctrl-C, SIGTERM); what is finished is kept, and --resume goes on."""


@contextmanager
def prefix_errors(what: str) -> Iterator[None]:
    """Inside, an `InputError` is about `what`, and says so."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{what}: {error}") from error
