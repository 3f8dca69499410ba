"""Options: fields of a recipe, each with its help, and how a value of one is read and written."""

from collections.abc import Callable, Mapping
from dataclasses import Field, field, fields, replace
from typing import Any, TypeVar

from sottovoce.errors import InputError
from sottovoce.quantization.candidates import Candidates

Settings = TypeVar("Settings", bound=Any)
PerBits = tuple[tuple[float, float], ...]
"""(bits, weight) pairs: a TOML table such as { 2 = 0.0, 4 = 1.0 }, or a flag such as 2:0,4:1."""


def option(default: Any, explanation: str, allowed: tuple[str, ...] = ()) -> Any:
    """A recipe field: its default, the help of its flag, and the names it may take."""
    return field(default=default, metadata={"help": explanation, "allowed": allowed})


def parse_option(spec: Field[Any], value: Any) -> Any:
    """An option's value from TOML, a flag's text or Python, by the option's declared type.

    Raises:
        InputError: it has another form.
    """
    read, form = _READERS[spec.type]
    try:
        return read(value)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise InputError(f"{spec.name} is {value!r}; it must be {form}") from error


def with_options_set(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """A copy of a frozen dataclass of options with some of them turned.

    Raises:
        InputError: a name is no option, or a value does not suit it.
    """
    known = {spec.name: spec for spec in fields(settings)}
    for name in changes:
        if name not in known:
            raise InputError(f"{name!r} is no option of a recipe; known are {', '.join(known)}")
    turned = {name: parse_option(known[name], value) for name, value in changes.items()}
    return replace(settings, **turned)


def refuse_unknown_names(settings: Any) -> None:
    """Raises InputError where an option has a value that is none of the names it may take."""
    for spec in fields(settings):
        allowed, value = spec.metadata["allowed"], getattr(settings, spec.name)
        unset = value is None and spec.default is None
        if allowed and value not in allowed and not unset:
            raise InputError(f"{spec.name} is {value!r}; it must be one of {allowed}")


def to_plain(value: Any) -> Any:
    """An option's value as TOML and JSON hold it."""
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        return {str(bits): weight for bits, weight in value}
    return list(value) if isinstance(value, tuple) else value


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    return float(value)


def _whole(value: Any) -> int:
    number = _number(value)
    if not number.is_integer():
        raise ValueError
    return int(number)


def _width(value: Any) -> float:
    number = _number(value)
    return int(number) if number.is_integer() else number


def _truth(value: Any) -> bool:
    return {"true": True, "false": False}[str(value).lower()]


def _or_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _candidates(value: Any) -> Candidates:
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(part.strip() if "/" in str(part) else _width(part) for part in parts)


def _per_bits(value: Any) -> PerBits:
    if isinstance(value, str):
        value = [part.split(":") for part in value.split(",")]
    pairs = value.items() if isinstance(value, Mapping) else value
    return tuple((_width(bits), _number(weight)) for bits, weight in pairs)


_READERS: dict[Any, tuple[Callable[[Any], Any], str]] = {
    str: (str, "a word"),
    str | None: (_or_none(str), "a word"),
    int: (_whole, "a whole number"),
    int | None: (_or_none(_whole), "a whole number"),
    float: (_number, "a number"),
    float | None: (_or_none(_number), "a number"),
    bool: (_truth, "true or false"),
    bool | None: (_or_none(_truth), "true or false"),
    Candidates: (_candidates, "candidates with commas between them, such as 2,4,8"),
    PerBits: (_per_bits, "bits:weight pairs with commas between them, such as 4:1.0,8:0.5"),
}
"""Type of an option -> how it is read, and the form that it takes."""
