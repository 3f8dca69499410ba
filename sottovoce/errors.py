"""The one exception a user's mistake raises."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence that names the file, line or layer and the mend; the command line
    prints it and exits with status 2.
    """


class Interrupted(Exception):  # noqa: N818 - nothing is in error
    """The user stopped a run with Ctrl-C; what is finished is kept, and `--resume` goes on."""
