"""What "lossless" is to mean: the options alone, for flags that load nothing."""

from dataclasses import dataclass

from sottovoce.errors import InputError


@dataclass(frozen=True)
class LosslessCriterion:
    """What "lossless" is to mean.

    Attributes:
        alpha: level of significance, two-sided.
        detectable: relative loss that the test must have been able to find.
    """

    alpha: float = 0.05
    detectable: float = 0.10

    def __post_init__(self) -> None:
        for name in ("alpha", "detectable"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")
