"""Sums over the layers of a plan."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sottovoce.quantization.plan import mean_bits
from sottovoce.record import LayerRow, RunRecord, StoredLayer
from sottovoce.report import numbers
from sottovoce.wording import plural


@dataclass(frozen=True)
class Share:
    """Weights, bits and bytes of some layers together.

    Attributes:
        layers: how many there are.
        weights: how many weights they have.
        bytes: what they take on disk, scales and padding counted.
        nominal_bits, effective_bits: mean bits of a weight, without and with those.
    """

    layers: int
    weights: int
    bytes: int
    nominal_bits: float
    effective_bits: float


def weights_of(row: StoredLayer) -> int:
    """How many weights a layer has."""
    return row.shape[0] * row.shape[1]


def share_of(rows: Sequence[StoredLayer]) -> Share:
    """The sums over `rows`; all zero for none."""
    each, stored = [weights_of(row) for row in rows], sum(row.bytes for row in rows)
    weights = sum(each)
    nominal = mean_bits(each, [row.bits for row in rows])
    return Share(len(rows), weights, stored, nominal, 8 * stored / max(weights, 1))


def cnns_sentence(record: RunRecord) -> str:
    """How everything outside the encoder's matrices is stored."""
    if not record.cnns:
        return "Everything else is in floating point."
    whole = share_of(record.cnns)
    return (
        f"Convolutions, feature projection and head: {plural(whole.layers, 'layer')}, "
        f"{plural(whole.weights, 'weight')} in {numbers.size(whole.bytes)}, "
        f"{numbers.in_bits(whole.nominal_bits)} a weight. Norms and biases are in floating point."
    )


def by_width(rows: Sequence[LayerRow]) -> dict[float, Share]:
    """Bits -> the sums over the layers that have them, narrowest first."""
    return {
        bits: share_of([row for row in rows if row.bits == bits])
        for bits in sorted({row.bits for row in rows})
    }


@dataclass(frozen=True)
class DepthByMatrix:
    """Layers laid out as a grid: a line per encoder layer, a column per matrix of it."""

    depths: tuple[int, ...]
    matrices: tuple[str, ...]
    cells: dict[tuple[int, str], LayerRow]


def depth_by_matrix(rows: Iterable[LayerRow]) -> DepthByMatrix:
    """The grid of `rows`: depths ascending, matrices in the order in which they first appear."""
    cells = {(row.depth, row.matrix): row for row in rows}
    depths = tuple(sorted({depth for depth, _ in cells}))
    return DepthByMatrix(depths, tuple(dict.fromkeys(matrix for _, matrix in cells)), cells)
