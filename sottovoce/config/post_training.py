"""The options of a post-training quantization."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import inf
from typing import Any, Self

from sottovoce.config.options import option, refuse_unknown_names, to_plain, with_options_set
from sottovoce.errors import InputError
from sottovoce.quantization.candidates import Candidates, precisions_of
from sottovoce.quantization.plan import Precision
from sottovoce.quantization.rules import INPUT_RANGES

METHODS = ("adaptive", "stablequant", *INPUT_RANGES, "mixed")
CANDIDATES: Candidates = ("2", "3", "4", "6", "8")
LEAST_MINUTES, MOST_MINUTES = 1.5, 5.0
CALIBRATION_MINUTES_HELP = (
    "minutes of calibration speech to use, spread over speakers and lengths; if not given, "
    f"{MOST_MINUTES:g}, and down to {LEAST_MINUTES:g} where the model is large (wav2vec2-base)"
)
_OPTIONS = {
    "mixed": ("bits", "candidates", "scale_bits", "inputs"),
    "adaptive": ("float_inputs",),
}
"""Those that one method alone has."""


@dataclass(frozen=True, kw_only=True)
class PostTraining:
    """The options of a post-training quantization; the help of each stands with it."""

    method: str = option(
        "adaptive",
        "adaptive: 8 bits, ranges and weights adapted where a layer suffers; stablequant: 8 bits, "
        "as published (arXiv 2504.14915); minmax, percentile, mse, entropy: 8 bits, one rule for "
        "all ranges; mixed: each matrix's width by what it costs, under --bits",
        allowed=METHODS,
    )
    bits: float = option(8.0, "with mixed: nominal bits of the encoder's matrices, at most")
    candidates: Candidates = option(
        CANDIDATES,
        "with mixed: what a matrix may take: bits, bits/grid or bits/grid/granularity, such as "
        "2/asymmetric/64",
    )
    scale_bits: int | None = option(
        None, "with mixed: bits of a matrix's scale or offset: 16; 32 if not given"
    )
    inputs: bool = option(
        False,
        "with mixed: what goes into the layers takes 8 bits too, as with the other methods; not "
        "where the weights have offsets or blocks, which 8-bit kernels cannot multiply",
    )
    float_inputs: bool = option(
        True,
        "with adaptive: layers may keep their inputs in floating point, and are named, while the "
        "whole model changes words",
    )
    float_attention: bool = option(
        False,
        "leave the products inside attention in floating point; else they take 8 bits too, in "
        "wav2vec 2.0 and HuBERT, in every layer where that changes no words to speak of",
    )
    calibration_minutes: float | None = option(None, CALIBRATION_MINUTES_HELP)

    def __post_init__(self) -> None:
        refuse_unknown_names(self)
        object.__setattr__(self, "candidates", tuple(map(str, self.candidates)))
        unturned = {spec.name: spec.default for spec in fields(self)}
        for method, options in _OPTIONS.items():
            for name in options:
                if self.method != method and getattr(self, name) != unturned[name]:
                    raise InputError(
                        f"{name} is an option of {method}, and {self.method} would not use it; "
                        f"leave it out or give --method {method}"
                    )
        if self.float_attention and self.method == "stablequant":
            raise InputError(
                "float_attention says nothing with stablequant, which leaves attention's products "
                "in floating point; leave it out"
            )
        if self.float_attention and not self.rounds_inputs:
            raise InputError(
                "float_attention says nothing where no inputs are rounded; leave it out or give "
                "--inputs"
            )
        refuse_minutes(self.calibration_minutes)
        low, high = min(self.precisions), max(self.precisions)
        if not low <= self.bits <= high:
            raise InputError(
                f"bits is {self.bits}, but the candidates allow {low} to {high}; give other bits "
                "or other candidates"
            )

    def replaced(self, changes: Mapping[str, Any]) -> Self:
        """A copy with some options set.

        Raises:
            InputError: a name is no option, or a value does not suit it.
        """
        return with_options_set(self, changes)

    @property
    def precisions(self) -> dict[float, Precision]:
        """Width -> the candidate of it, narrowest first."""
        found = precisions_of(
            self.candidates,
            lambda bits: "half" if bits <= 2 else "symmetric",
            scale_bits=self.scale_bits,
        )
        return {one.bits: one for one in found.values()}

    @property
    def rounds_inputs(self) -> bool:
        """Whether what goes into the layers takes 8 bits, where kernels can multiply that."""
        return self.inputs or self.method != "mixed"

    @property
    def rounds_attention(self) -> bool:
        """Whether attention's products take 8 bits, where that changes no words to speak of."""
        return self.rounds_inputs and not self.float_attention and self.method != "stablequant"

    def to_record(self) -> dict[str, object]:
        """What this method goes by."""
        used = ["method", "bits", "inputs", "calibration_minutes"]
        used += ["float_attention"] if self.rounds_inputs and self.method != "stablequant" else []
        used += ["float_inputs"] if self.method == "adaptive" else []
        used += ["candidates"] if self.method == "mixed" else []
        used += ["scale_bits"] if self.scale_bits else []
        return {name: to_plain(getattr(self, name)) for name in used} | {
            "inputs": self.rounds_inputs
        }


def refuse_minutes(minutes: float | None) -> None:
    """Raises InputError where no speech at all is allowed."""
    if minutes is not None and not 0 < minutes < inf:
        raise InputError(f"calibration_minutes is {minutes}; it must be above 0 and finite")
