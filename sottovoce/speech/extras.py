"""Packages that only some corpora need."""

from importlib import import_module
from types import ModuleType

from sottovoce.errors import InputError


def import_extra(package: str, needed_for: str) -> ModuleType:
    """Import a package that is installed by the extra of the same name.

    Raises:
        InputError: it, or something it needs, is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise InputError(
            f"{needed_for} needs a package that is not installed ({error}): "
            f"pip install 'sottovoce[{package}]'"
        ) from error
