"""Text that someone else wrote is read from regular files, and no more of it than fits."""

import os
from pathlib import Path

import pytest

from sottovoce.errors import InputError
from sottovoce.reading import parse_toml, read_json, read_text


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "device"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "text"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    with pytest.raises(InputError, match="does not exist or is not a file"):
        read_text(path)


def test_what_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(2**40)  # sparse
    with pytest.raises(InputError, match=r"large\.json has 1,099,511,627,776 bytes, where at most"):
        read_json(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "is not UTF-8 text"),
        (b"{", "is not valid JSON"),
        (b"[" * 100_000, "is nested too deeply"),
        (b"1" * 5000, "is not valid JSON"),
    ],
)
def test_broken_json_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "facts.json").write_bytes(content)
    with pytest.raises(InputError, match=rf"facts\.json {message}"):
        read_json(tmp_path / "facts.json")


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(tmp_path / "facts.json") == [1]


def test_deep_toml_is_refused() -> None:
    with pytest.raises(InputError):
        parse_toml(f"a = {'[' * 10_000}{']' * 10_000}")
