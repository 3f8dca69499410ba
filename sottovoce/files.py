"""Writing files and folders so that a reader never sees half of one."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sottovoce.errors import InputError


def refuse_missing(path: str | Path) -> None:
    """Raises InputError where nothing has this path."""
    if not Path(path).exists():
        raise InputError(f"{path} does not exist")


def refuse_taken(out: Path) -> None:
    """See that a folder can be made, without making it.

    Raises:
        InputError: `out` is there already, lies beneath a file, or in a folder that one may not
            write to.
    """
    if out.exists() or out.is_symlink():
        raise InputError(f"{out} exists; choose another --out or delete it")
    refuse_unwritable(out)


def refuse_unwritable(folder: Path) -> None:
    """Raises InputError where a folder that may be there could not be made or written to."""
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not there.is_dir():
        raise InputError(f"{folder} cannot be written: {there} is a file; choose another --out")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(
            f"{folder} cannot be written: you may not write to {there}; choose another --out"
        )


@contextmanager
def new_folder(folder: Path, size: int) -> Iterator[Path]:
    """Gives a folder to fill; it gets its name when everything in it is on the disk, or never.

    Args:
        size: bytes that will be in it, for the message where the disk is full.

    Raises:
        InputError: `folder` exists or cannot be written, or the disk is full.
    """
    if folder.exists():
        raise InputError(f"{folder} exists; choose another folder or delete it")
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        publish(partial, folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"{folder} does not fit on the disk: {size:,} bytes are needed"
            ) from error
        raise InputError(f"{folder} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def publish(folder: Path, name: Path) -> None:
    """Give a folder its name once all that is in it is on the disk."""
    for path in (*folder.rglob("*"), folder):
        flush(path)
    folder.rename(name)
    flush(name.parent)


def flush(path: Path) -> None:
    """Return when a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # as of a folder, where the file system has no such thing
            raise
    finally:
        os.close(descriptor)


def replace_file(temporary: Path, path: Path) -> None:
    """Give a file that is written its name: after a loss of power `path` is the old or the new."""
    flush(temporary)
    os.replace(temporary, path)
    flush(path.parent)


def remove_folder(folder: Path) -> None:
    """Delete a folder that is never seen in part: it has another name before anything goes."""
    deleted = folder.with_name(f".{folder.name}.deleted")
    shutil.rmtree(deleted, ignore_errors=True)  # of a process that was killed while it deleted
    folder.rename(deleted)
    shutil.rmtree(deleted)


_MEND = "delete it, and what it held is computed anew"


def read_json(path: Path, mend: str = _MEND) -> Any:
    """What a file of a run's state holds.

    Raises:
        InputError: it is damaged.
    """
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise damaged(path, error, mend) from error


def damaged(path: Path, error: Exception, mend: str = _MEND) -> InputError:
    """What to say of a file of a run's state that cannot be read."""
    return InputError(f"{path} is damaged ({str(error).splitlines()[0]}): {mend}")


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 beside `path` under a temporary name, then rename it to `path`.

    Characters that UTF-8 has no form for (file names with stray bytes) become question marks.

    Raises:
        InputError: the folder does not exist, cannot be written to, or its disk is full.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_text(text, encoding="utf-8", errors="replace", newline="\n")
        replace_file(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise InputError(
            f"{path} cannot be written ({error.strerror}); choose a folder that exists and has room"
        ) from error
