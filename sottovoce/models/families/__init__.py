"""Model families: one file each. A new family is a new file here; nothing else changes."""

import importlib
import pkgutil

from sottovoce.errors import InputError
from sottovoce.models.family import Family


def _discover() -> dict[str, Family]:
    names = (module.name for module in pkgutil.iter_modules(__path__))
    modules = (importlib.import_module(f"{__name__}.{name}") for name in names)
    return {module.FAMILY.model_type: module.FAMILY for module in modules}


FAMILIES = _discover()


def family_of(model_type: str) -> Family:
    """The family of a transformers `model_type`.

    Raises:
        InputError: the family is not supported; those that are get named.
    """
    if model_type not in FAMILIES:
        raise InputError(
            f"checkpoints of type {model_type!r} are not supported; "
            f"supported are {', '.join(sorted(FAMILIES))}"
        )
    return FAMILIES[model_type]
