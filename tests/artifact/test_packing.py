import pytest
import torch

from sottovoce.artifact import packing
from sottovoce.artifact.packing import pack, packed_columns, unpack
from sottovoce.plan import STORABLE_BITS


@pytest.mark.parametrize("bits", STORABLE_BITS)
@pytest.mark.parametrize("columns", [1, 2, 3, 5, 7, 8, 9, 13, 16, 31, 768])
def test_codes_survive_and_rows_take_whole_bytes(bits: int, columns: int) -> None:
    codes = torch.randint(0, 2**bits, (5, columns), dtype=torch.uint8)
    packed = pack(codes, bits)
    assert packed.dtype == torch.uint8
    assert packed.shape == (5, packed_columns(columns, bits))
    assert torch.equal(unpack(packed, bits, columns), codes)


@pytest.mark.parametrize("bits", STORABLE_BITS)
def test_a_row_is_a_little_endian_number(bits: int) -> None:
    codes = torch.randint(0, 2**bits, (4, 13), dtype=torch.uint8)
    for row, stored in zip(codes.tolist(), pack(codes, bits).tolist(), strict=True):
        number = sum(code << (bits * index) for index, code in enumerate(row))
        assert int.from_bytes(bytes(stored), "little") == number


def test_the_table_of_the_docstring() -> None:
    rows = [line.split("|")[1:-1] for line in (packing.__doc__ or "").splitlines() if "|" in line]
    examples = {int(bits): (codes, stored) for bits, codes, stored in rows[2:]}
    assert tuple(examples) == STORABLE_BITS
    for bits, (codes, stored) in examples.items():
        row = torch.tensor([[int(code) for code in codes.split()]], dtype=torch.uint8)
        assert bytes(pack(row, bits)[0].tolist()) == bytes.fromhex(stored)
        assert torch.equal(unpack(pack(row, bits), bits, row.shape[1]), row)
