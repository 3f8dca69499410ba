"""Candidates: the precisions that a layer may take, in a user's words.

4                   bits
1.6                 ternary weights, five in a byte
2/half              bits/grid
2/asymmetric/64     bits/grid/what shares a scale: tensor, channel, or so many weights
"""

from collections.abc import Callable, Sequence

from sottovoce.errors import InputError, prefix_errors
from sottovoce.quantization.plan import STORABLE_BITS, Precision

_WIDTHS = {form: bits for bits in STORABLE_BITS for form in (str(bits), str(float(bits)))}

Candidates = tuple[float | str, ...]
"""Widths, and precisions in words, one a width."""


def precisions_of(
    candidates: Sequence[float | str],
    grid: Callable[[float], str],
    granularity: str = "channel",
    scale_bits: int | None = None,
) -> dict[float | str, Precision]:
    """Candidate -> its precision, narrowest first.

    Args:
        grid: of a width, where a candidate does not say.
        granularity: where it does not say; in the same words.

    Raises:
        InputError: there is none, one is no precision, or two have the same width.
    """
    precisions = {
        candidate: precision_of(candidate, grid, granularity, scale_bits)
        for candidate in candidates
    }
    widths = [precision.bits for precision in precisions.values()]
    twice = [width for width in widths if widths.count(width) > 1]
    if not precisions:
        raise InputError("candidates is empty; give at least one, such as 4")
    if twice:
        raise InputError(f"candidates {tuple(candidates)} have {twice[0]} bits twice; leave one")
    return dict(sorted(precisions.items(), key=lambda item: item[1].bits))


def precision_of(
    words: float | str,
    grid: Callable[[float], str],
    granularity: str = "channel",
    scale_bits: int | None = None,
) -> Precision:
    """The precision that some words stand for; else as `precisions_of`."""
    width, *rest = (word.strip() for word in str(words).split("/"))
    if width not in _WIDTHS or len(rest) > 2:
        raise InputError(
            f"candidate {words!r} is no precision; write bits, bits/grid or bits/grid/granularity, "
            f"such as 4 or 2/asymmetric/64, with bits of {STORABLE_BITS}"
        )
    bits = _WIDTHS[width]
    name, shared = (*rest, *(grid(bits), granularity)[len(rest) :])
    with prefix_errors(f"candidate {words!r}"):
        return Precision(bits, name, *granularity_of(shared), scale_bits=scale_bits)


def granularity_of(words: str | int) -> tuple[str, int | None]:
    """A precision's `granularity` and `block`: of tensor, channel, or a block's size.

    Raises:
        InputError: it is none of these.
    """
    words = str(words)
    if words in ("tensor", "channel"):
        return words, None
    if not words.isdecimal() or int(words) < 1:
        raise InputError(
            f"{words!r} cannot share a scale; give tensor, channel or the size of a block, "
            "a positive whole number of weights"
        )
    return "block", int(words)
