"""What torch.compile needs of the machine."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch._dynamo.exc import ShortenTraceback
from torch._inductor.exc import InvalidCxxCompiler

from sottovoce.errors import InputError


@contextmanager
def require_compiler(what: str, instead: str) -> Iterator[None]:
    """Inside, something is compiled.

    Args:
        what: it is.
        instead: of installing a compiler.

    Raises:
        InputError: it cannot be compiled.
    """
    try:
        yield
    except (ShortenTraceback, InvalidCxxCompiler) as error:
        raise InputError(
            f"{what} cannot be compiled; install a C++ compiler such as g++ (on CUDA, Triton) or "
            f"{instead}: {str(error).splitlines()[0]}"
        ) from error
