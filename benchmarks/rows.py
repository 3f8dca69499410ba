"""Measured rows, kept in a JSON file so that an interrupted benchmark goes on where it was.

To measure a row anew, delete it or its file.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sottovoce.files import write_text
from sottovoce.runtime.processor import processor

RESULTS = Path(__file__).parent / "results"

Row = dict[str, Any]


def row_of(path: Path, key: Mapping[str, Any], measure: Callable[[], Mapping[str, Any]]) -> Row:
    """The row whose fields begin with `key`; measured and saved where the file lacks it.

    A new row also has its date and the processor that measured it.

    Args:
        key: what the row is about and what it depends on; JSON values.
        measure: gives the row's other fields; JSON values.
    """
    wanted = json.loads(json.dumps(key))
    for row in read_rows(path):
        if wanted.items() <= row.items():
            return row
    date = datetime.now(UTC).isoformat(timespec="seconds")
    fields = {**wanted, "processor": str(processor()), **measure(), "date": date}
    row = json.loads(json.dumps(fields))
    _write_rows(path, [*read_rows(path), row])  # others may have come meanwhile
    return row


def read_rows(path: Path) -> list[Row]:
    """The rows of a file; none where there is no file."""
    return json.loads(path.read_text()) if path.exists() else []


def _write_rows(path: Path, rows: list[Row]) -> None:
    """Replace the file whole, one row a line."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, f"[\n{lines}\n]\n")


def machine() -> dict[str, Any]:
    """What a timing depends on beside the code."""
    return {
        "processor": str(processor()),
        "vector_instructions": [one for one in _flags() if one.startswith(("avx", "amx"))],
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _flags() -> list[str]:
    """What the processor can do, as Linux lists it; nothing elsewhere."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    found = [line.partition(":")[2] for line in lines if line.partition(":")[0].strip() == "flags"]
    return sorted(found[0].split()) if found else []


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's, ties broken by position."""
    ranks = [np.argsort(np.argsort(values)) for values in (one, other)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
