"""Codes <-> bytes: a little-endian bit stream for every row.

Code i of a row takes the bits i*b to i*b + b - 1 of that row's stream, and bit k of the stream is
bit k mod 8 of byte k // 8. Eight codes make b bytes; a row's last byte is filled with zeros. The
codes 1, 2, 3, ... (1 and 0 where there is but one bit) are stored so:

| bits | codes         | bytes    |
|------|---------------|----------|
| 1    | 1 0 1         | 05       |
| 2    | 1 2 3         | 39       |
| 3    | 1 2 3 4 5     | d1 58    |
| 4    | 1 2 3         | 21 03    |
| 5    | 1 2 3 4       | 41 0c 02 |
| 6    | 1 2 3         | 81 30 00 |
| 8    | 1 2 3         | 01 02 03 |
"""

from collections.abc import Iterator

from torch import Tensor
from torch.nn.functional import pad

_GROUP = 8


def packed_columns(columns: int, bits: int) -> int:
    """Bytes of one packed row."""
    return -(-columns * bits // 8)


def pack(codes: Tensor, bits: int) -> Tensor:
    """Pack unsigned codes below 2^bits.

    Args:
        codes: uint8 [rows, columns].

    Returns:
        uint8 [rows, ceil(columns * bits / 8)], on the same device.
    """
    rows, columns = codes.shape
    groups = pad(codes, (0, -columns % _GROUP)).view(rows, -1, _GROUP)
    packed = codes.new_zeros(rows, groups.shape[1], bits)
    for index, byte, shift in _places(bits):
        packed[..., byte] |= groups[..., index] << shift
        if shift + bits > 8:
            packed[..., byte + 1] |= groups[..., index] >> (8 - shift)
    return packed.flatten(1)[:, : packed_columns(columns, bits)].contiguous()


def unpack(packed: Tensor, bits: int, columns: int) -> Tensor:
    """The codes that `pack` packed.

    Args:
        packed: uint8 [rows, ceil(columns * bits / 8)].

    Returns:
        uint8 [rows, columns], on the same device.
    """
    rows, stored = packed.shape
    count = -(-columns // _GROUP)
    groups = pad(packed, (0, count * bits - stored)).view(rows, count, bits)
    codes = packed.new_empty(rows, count, _GROUP)
    for index, byte, shift in _places(bits):
        code = groups[..., byte] >> shift
        if shift + bits > 8:
            code |= groups[..., byte + 1] << (8 - shift)
        codes[..., index] = code & (2**bits - 1)
    return codes.flatten(1)[:, :columns].contiguous()


def _places(bits: int) -> Iterator[tuple[int, int, int]]:
    """Where each code of a group begins: (code, byte, bit within the byte)."""
    return ((index, *divmod(index * bits, 8)) for index in range(_GROUP))
