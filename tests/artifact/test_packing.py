import pytest
import torch

from sottovoce.artifact import packing
from sottovoce.artifact.packing import pack, unpack
from sottovoce.quantization.grids import codes_of
from sottovoce.quantization.plan import STORABLE_BITS, TERNARY_BITS, WHOLE_BITS, packed_columns


@pytest.mark.parametrize("bits", STORABLE_BITS)
def test_codes_survive_and_rows_take_whole_bytes(bits: float) -> None:
    for columns in (1, 2, 3, 5, 7, 8, 9, 13, 16, 31, 768):
        codes = torch.randint(0, codes_of(bits), (5, columns), dtype=torch.uint8)
        packed = pack(codes, bits)
        assert packed.dtype == torch.uint8
        assert packed.shape == (5, packed_columns(columns, bits))
        assert torch.equal(unpack(packed, bits, columns), codes), columns


def test_ternary_codes_are_digits_five_in_a_byte() -> None:
    codes = torch.cartesian_prod(*[torch.arange(3, dtype=torch.uint8)] * 5)
    stored = pack(codes, TERNARY_BITS)
    expected = [sum(code * 3**place for place, code in enumerate(row)) for row in codes.tolist()]
    assert stored.flatten().tolist() == expected
    assert sorted(expected) == list(range(243))
    assert torch.equal(unpack(stored, TERNARY_BITS, 5), codes)
    assert "1 2 0 1 2 1 is stored as c4 01" in (packing.__doc__ or "")
    example = torch.tensor([[1, 2, 0, 1, 2, 1]], dtype=torch.uint8)
    assert bytes(pack(example, TERNARY_BITS)[0].tolist()) == bytes.fromhex("c4 01")


def test_a_byte_that_no_ternary_codes_make_shows_as_a_code_too_large() -> None:
    for byte in range(256):
        codes = unpack(torch.tensor([[byte]], dtype=torch.uint8), TERNARY_BITS, 5)
        assert (codes.max() > 2) == (byte > 242)


@pytest.mark.parametrize(("columns", "stored"), [(1, 1), (5, 1), (6, 2), (768, 154), (3072, 615)])
def test_ternary_rows_take_the_fewest_bytes(columns: int, stored: int) -> None:
    assert packed_columns(columns, TERNARY_BITS) == stored == -(-columns // 5)


@pytest.mark.parametrize("bits", WHOLE_BITS)
def test_a_row_is_a_little_endian_number(bits: int) -> None:
    codes = torch.randint(0, 2**bits, (4, 13), dtype=torch.uint8)
    for row, stored in zip(codes.tolist(), pack(codes, bits).tolist(), strict=True):
        number = sum(code << (bits * index) for index, code in enumerate(row))
        assert int.from_bytes(bytes(stored), "little") == number


def test_the_table_of_the_docstring() -> None:
    rows = [line.split("|")[1:-1] for line in (packing.__doc__ or "").splitlines() if "|" in line]
    examples = {int(bits): (codes, stored) for bits, codes, stored in rows[2:]}
    assert tuple(examples) == WHOLE_BITS
    for bits, (codes, stored) in examples.items():
        row = torch.tensor([[int(code) for code in codes.split()]], dtype=torch.uint8)
        assert bytes(pack(row, bits)[0].tolist()) == bytes.fromhex(stored)
        assert torch.equal(unpack(pack(row, bits), bits, row.shape[1]), row)
