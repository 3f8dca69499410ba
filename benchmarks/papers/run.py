"""The papers' tables on the small recognisers: Table I of xu2025, the 2-bit study of rybakov2023.

    python -m benchmarks.papers.run
    python -m benchmarks.papers.run --table table-p2

Rows run in `runs/` and are kept in `benchmarks/results/table-1.json` and `table-p2.json`; started
again, it goes on with what is missing.
"""

from collections.abc import Sequence

from benchmarks.inputs import Needs, run
from benchmarks.kept_tables import WAV2VEC2, KeptTable, run_tables

NEEDS = Needs(hours=6, data=True)
TABLE_1 = KeptTable("table-1", WAV2VEC2, "xu2025-table-1", {"steps": 100, "learning_rate": 2e-4})
TABLE_P2 = KeptTable(
    "table-p2", "commands-conformer", "rybakov2023", {"steps": 100, "learning_rate": 1e-4}
)
TABLES = (TABLE_1, TABLE_P2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the rows that are missing."""
    run_tables(TABLES, __doc__, NEEDS, arguments)


if __name__ == "__main__":
    run(main)
