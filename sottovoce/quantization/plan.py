"""A plan: the precision of every quantized layer, and the bytes it costs.

A plan is the result of a search and the input of training, packing and sizing. It is a plain,
frozen value that goes to JSON and back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from sottovoce.errors import InputError
from sottovoce.quantization.grids import GRIDS, grid_of
from sottovoce.quantization.grouping import Grouping
from sottovoce.quantization.quantizer import Quantizer

GRANULARITIES = ("tensor", "channel", "block")
WHOLE_BITS = (1, 2, 3, 4, 5, 6, 8)
TERNARY_BITS = 1.6
"""Of one of three values: five fit in a byte."""
STORABLE_BITS = tuple(sorted((*WHOLE_BITS, TERNARY_BITS)))
INPUT_BITS = 8
FLOAT_BITS = 32
HALF_BITS = 16

Shape = tuple[int, int]
"""(rows, columns) of a layer's weight: output channels by inputs."""


def tenths(bits: float) -> int:
    """A width in tenths of a bit: a whole number, so that sums of widths are exact."""
    return round(10 * bits)


def mean_bits(weights: Sequence[int], bits: Sequence[float]) -> float:
    """Return the mean bits of a weight, where so many have so many bits; exact, 0 for none."""
    stored = sum(count * tenths(width) for count, width in zip(weights, bits, strict=True))
    return stored / max(1, 10 * sum(weights))


def packed_columns(columns: int, bits: float) -> int:
    """Bytes of one packed row."""
    return -(-columns * tenths(bits) // 80)


@dataclass(frozen=True, order=True)
class Precision:
    """How one weight matrix is stored.

    Attributes:
        bits: bits of one code, one of `STORABLE_BITS`.
        grid: name of a grid in `sottovoce.quantization.grids.GRIDS`.
        granularity: what shares a scale (and an offset): the whole "tensor", an output "channel",
            or a "block" of a channel.
        block: with granularity "block": how many weights of a channel share a scale; the last
            ones of a channel may be fewer.
        scale_bits: of a scale or an offset: 16 for float16; None for float32.
        input_bits: of what goes into the layer, 8 on a fixed range; None leaves it in floating
            point.

    Raises:
        InputError: a field holds none of the values above, or the grid has no levels at `bits`.
    """

    bits: float
    grid: str = "symmetric"
    granularity: str = "channel"
    block: int | None = None
    scale_bits: int | None = None
    input_bits: int | None = None

    def __post_init__(self) -> None:
        for value, allowed, what in (
            (self.bits, STORABLE_BITS, "bits"),
            (self.grid, tuple(GRIDS), "grid"),
            (self.granularity, GRANULARITIES, "granularity"),
            (self.input_bits, (None, INPUT_BITS), "input_bits"),
            (self.scale_bits, (None, HALF_BITS), "scale_bits"),
        ):
            # 4.0 is no width, nor is True
            if type(value) not in [type(choice) for choice in allowed if choice == value]:
                raise InputError(f"{what} is {value!r}; it must be one of {allowed}")
        grid_of(self.grid, self.bits)
        if self.granularity == "block":
            if type(self.block) is not int or self.block < 1:
                raise InputError(
                    f"block is {self.block!r}; it must be a positive whole number of weights"
                )
        elif self.block is not None:
            raise InputError(f"granularity {self.granularity!r} has no block, but it is given")

    def __str__(self) -> str:
        words = f"{self.bits}/{self.grid}/{self.block or self.granularity}"
        scales = " with 16-bit scales" if self.scale_bits else ""
        return words + scales + (" on 8-bit inputs" if self.input_bits else "")

    @property
    def scale_per(self) -> str:
        """The weights that share a scale, in words: tensor, channel, or so many weights."""
        return f"{self.block} weights" if self.granularity == "block" else self.granularity

    @property
    def quantizer(self) -> Quantizer:
        """The arithmetic of this precision."""
        grouping = Grouping(whole=self.granularity == "tensor", block=self.block)
        return Quantizer(grid_of(self.grid, self.bits), grouping, self.scale_bits)

    def groups(self, shape: Shape) -> Shape:
        """The shape of what belongs to the groups of a weight of this shape, such as its scales."""
        return self.quantizer.grouping.shape(*shape)

    def scales(self, shape: Shape) -> int:
        """How many scales a weight of this shape needs."""
        rows, blocks = self.groups(shape)
        return rows * blocks

    def stored_bytes(self, shape: Shape) -> int:
        """Bytes on disk: every row's codes padded to whole bytes, scales and offsets, and the
        inputs' range."""
        rows, columns = shape
        of_a_group = (1 + self.quantizer.grid.has_offset) * (self.scale_bits or FLOAT_BITS)
        bits = self.scales(shape) * of_a_group + (2 * FLOAT_BITS if self.input_bits else 0)
        return rows * packed_columns(columns, self.bits) + bits // 8


@dataclass(frozen=True)
class Plan(Mapping[str, Precision]):
    """Layer name -> `Precision`, in the model's order."""

    layers: Mapping[str, Precision]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", MappingProxyType(dict(self.layers)))

    def __getitem__(self, layer: str) -> Precision:
        return self.layers[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def nominal_bits(self, shapes: Mapping[str, Shape]) -> float:
        """Mean bits of a weight, scales not counted: xu2025's "model bit-width", what `--bits`
        sets.

        Args:
            shapes: of the layers that count where they are planned: the encoder's matrices.
        """
        chosen = self._among(shapes)
        weights = [rows * columns for rows, columns in chosen.values()]
        return mean_bits(weights, [self[layer].bits for layer in chosen])

    def effective_bits(self, shapes: Mapping[str, Shape]) -> float:
        """Mean bits of a weight with its share of scales and padding counted."""
        weights = sum(rows * columns for rows, columns in self._among(shapes).values())
        return 8 * self.stored_bytes(shapes) / weights

    def stored_bytes(self, shapes: Mapping[str, Shape]) -> int:
        """Bytes on disk of those planned layers that `shapes` has."""
        return sum(self[layer].stored_bytes(shape) for layer, shape in self._among(shapes).items())

    def _among(self, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        return {layer: shape for layer, shape in shapes.items() if layer in self}

    def to_json(self) -> dict[str, dict[str, Any]]:
        return {
            layer: {name: value for name, value in asdict(precision).items() if value is not None}
            for layer, precision in self.items()
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Mapping[str, Any]]) -> "Plan":
        """Read `to_json`'s record.

        Raises:
            InputError: an entry is no precision; the layer is named.
        """
        layers = {}
        for layer, fields in record.items():
            try:
                layers[layer] = Precision(**fields)
            except (TypeError, InputError) as error:
                raise InputError(f"plan entry of layer {layer!r} is not valid: {error}") from error
        return cls(layers)
