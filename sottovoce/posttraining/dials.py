"""The dials of a post-training quantization."""

from dataclasses import dataclass, fields

from sottovoce.candidates import Candidates, precisions_of
from sottovoce.errors import InputError
from sottovoce.plan import Precision
from sottovoce.quantizers.rules import INPUT_RANGES

METHODS = ("stablequant", *INPUT_RANGES, "mixed")
CANDIDATES: Candidates = ("2", "3", "4", "6", "8")
_DIALS = {
    "mixed": ("bits", "candidates", "scale_bits", "inputs"),
    "stablequant": ("float_inputs",),
}
"""Those that one method alone has."""


@dataclass(frozen=True, kw_only=True)
class PostTraining:
    """The dials of a post-training quantization.

    Attributes:
        method: "stablequant"; one of the rules for all layers' inputs, "minmax", "percentile",
            "mse", "entropy"; or "mixed", widths under a size.
        bits: of "mixed": nominal bits of the encoder's matrices, at most. Else 8.
        candidates: of "mixed": what a matrix may take, in a recipe's words.
        scale_bits: of "mixed": of the matrices' scales and offsets, 16; None for 32.
        inputs: of "mixed": whether what goes into the layers takes 8 bits too, where kernels can
            multiply that. Else it does.
        float_inputs: of "stablequant": whether layers that stay sensitive may keep their inputs in
            floating point.
        float_attention: whether attention's products keep floating point where layers' inputs do
            not.
    """

    method: str = "stablequant"
    bits: float = 8.0
    candidates: Candidates = CANDIDATES
    scale_bits: int | None = None
    inputs: bool = False
    float_inputs: bool = True
    float_attention: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"method is {self.method!r}; it must be one of {METHODS}")
        object.__setattr__(self, "candidates", tuple(map(str, self.candidates)))
        unturned = {spec.name: spec.default for spec in fields(self)}
        for method, dials in _DIALS.items():
            for name in dials:
                if self.method != method and getattr(self, name) != unturned[name]:
                    raise InputError(
                        f"{name} is a dial of {method}, and {self.method} would not use it; leave "
                        f"it out or give --method {method}"
                    )
        if self.float_attention and not self.rounds_inputs:
            raise InputError(
                "float_attention says nothing where no inputs are rounded; leave it out or give "
                "--inputs"
            )
        low, high = min(self.precisions), max(self.precisions)
        if not low <= self.bits <= high:
            raise InputError(
                f"bits is {self.bits}, but the candidates allow {low} to {high}; give other bits "
                "or other candidates"
            )

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

    def to_record(self) -> dict[str, object]:
        dials = {"method": self.method, "bits": self.bits, "inputs": self.rounds_inputs}
        if self.rounds_inputs:
            dials["float_attention"] = self.float_attention
        if self.method == "stablequant":
            return {**dials, "float_inputs": self.float_inputs}
        if self.method != "mixed":
            return dials
        halves = {"scale_bits": self.scale_bits} if self.scale_bits else {}
        return {**dials, "candidates": list(self.candidates), **halves}
