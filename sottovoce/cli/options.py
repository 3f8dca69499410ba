"""Options as flags: made from the fields of a recipe or of other settings, so that none is written
twice."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, TypeVar

import typer

from sottovoce.config.options import PerBits
from sottovoce.quantization.candidates import Candidates

Function = TypeVar("Function", bound=Callable[..., Any])


def add_options(
    of: type[Any], panel: str = "Options", into: str | None = None
) -> Callable[[Function], Function]:
    """Give a command one flag for each option of a dataclass of options.

    The command gets those that the user set: as its `**` parameter, or as one value of the
    dataclass where `into` names a parameter for it. Help and default are the option's own.
    """

    def decorate(command: Function) -> Function:
        own = list(inspect.signature(command).parameters.values())
        variadic = [one for one in own if one.kind is inspect.Parameter.VAR_KEYWORD]
        kept = [one for one in own if one not in variadic and one.name != into]
        flags = [_flag(spec, panel) for spec in fields(of)]
        rest_of_options = variadic if into is not None else []  # for a decorator further out
        names = [flag.name for flag in flags]

        def called(**given: Any) -> Any:
            turned = {name: given[name] for name in names if given[name] is not None}
            rest = {name: value for name, value in given.items() if name not in names}
            return command(**rest, **(turned if into is None else {into: of(**turned)}))

        called.__name__, called.__doc__ = command.__name__, command.__doc__
        called.__signature__ = inspect.Signature([*kept, *flags, *rest_of_options])  # type: ignore[attr-defined]
        return called  # type: ignore[return-value]

    return decorate


def _flag(spec: Any, panel: str) -> inspect.Parameter:
    kind, default = spec.type, spec.default
    allowed = f" ({', '.join(spec.metadata['allowed'])})" if spec.metadata["allowed"] else ""
    text = kind in (PerBits, Candidates, str, str | None)
    parsed: Any = str if text else (int if kind in (int, int | None) else float)
    name = spec.name.replace("_", "-")
    if kind in (bool, bool | None):
        parsed, name = bool, f"{name}/--no-{name}"
    option = typer.Option(
        f"--{name}",
        help=f"{spec.metadata['help']}{allowed} [dim]default: {_shown(default)}[/dim]",
        rich_help_panel=panel,
        show_default=False,
    )
    return inspect.Parameter(
        spec.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[parsed | None, option],
    )


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(
            ":".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in default
        )
    return "-" if default is None else str(default)
