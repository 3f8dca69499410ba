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

Ternary codes, 1.6 bits, are digits of a number below 3^5 instead, the first the least: five in a
byte, and a row's last byte filled with zeros. 1 2 0 1 2 1 is stored as c4 01.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

from sottovoce.quantization.plan import TERNARY_BITS, packed_columns

PLACES = (1, 3, 9, 27, 81)
"""What the digits of a byte of ternary codes count."""
_GROUP = 8


def pack(codes: Tensor, bits: float) -> Tensor:
    """Pack unsigned codes below 2^bits.

    Args:
        codes: uint8 [rows, columns].

    Returns:
        uint8 [rows, ceil(columns * bits / 8)], on the same device.
    """
    if bits == TERNARY_BITS:
        return _pack_digits(codes)
    bits = int(bits)
    rows, columns = codes.shape
    groups = pad(codes, (0, -columns % _GROUP)).view(rows, -1, _GROUP)
    packed = codes.new_zeros(rows, groups.shape[1], bits)
    for index, byte, shift in _places(bits):
        packed[..., byte] |= groups[..., index] << shift
        if shift + bits > 8:
            packed[..., byte + 1] |= groups[..., index] >> (8 - shift)
    return packed.flatten(1)[:, : packed_columns(columns, bits)].contiguous()


def unpack(packed: Tensor, bits: float, columns: int) -> Tensor:
    """The codes that `pack` packed.

    Args:
        packed: uint8 [rows, ceil(columns * bits / 8)].

    Returns:
        uint8 [rows, columns], on the same device.
    """
    if bits == TERNARY_BITS:
        return _unpack_digits(packed)[:, :columns].contiguous()
    bits = int(bits)
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


def _pack_digits(codes: Tensor) -> Tensor:
    digits = pad(codes, (0, -codes.shape[1] % len(PLACES))).unflatten(1, (-1, len(PLACES)))
    return (digits * codes.new_tensor(PLACES)).sum(-1, dtype=torch.uint8)


def _unpack_digits(packed: Tensor) -> Tensor:
    """The last digit is all that is left, so that a byte above 242 shows as a code above 2."""
    digits = packed.unsqueeze(-1).div(packed.new_tensor(PLACES), rounding_mode="floor")
    digits[..., :-1].remainder_(3)
    return digits.flatten(1)


def _places(bits: int) -> Iterator[tuple[int, int, int]]:
    """Where each code of a group begins: (code, byte, bit within the byte)."""
    return ((index, *divmod(index * bits, 8)) for index in range(_GROUP))
