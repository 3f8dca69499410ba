"""How long recordings are cut: the options alone, for flags that load nothing."""

from dataclasses import dataclass
from math import isfinite

from sottovoce.errors import InputError


@dataclass(frozen=True)
class Chunking:
    """How long recordings are to be cut; the defaults are measured in benchmarks/RESULTS.md.

    Attributes:
        chunk: seconds that are heard at once, context included; what is no longer stays whole.
        context: seconds at either end of a chunk that are heard and not written.
    """

    chunk: float = 10.0
    context: float = 2.0

    def __post_init__(self) -> None:
        if not (isfinite(self.chunk) and self.chunk > 0):
            raise InputError(f"a chunk of {self.chunk:g} s cannot be heard; give it more than 0 s")
        if not 0 <= 2 * self.context < self.chunk:
            raise InputError(
                f"a context of {self.context:g} s on both sides leaves nothing of a chunk of "
                f"{self.chunk:g} s; give it from 0 to less than {self.chunk / 2:g} s"
            )
