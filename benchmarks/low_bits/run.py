"""2 bits and below: blocks with offsets, and a joint search from 1 bit up.

    python -m benchmarks.low_bits.run
    python -m benchmarks.low_bits.run --table low-conformer

The rows are in the TOML files beside this script, with the pairs of them that are tested. They run
in `runs/` and are kept in `benchmarks/results/`; started again, it goes on with what is missing.
"""

from collections.abc import Sequence

from benchmarks.inputs import Needs, run
from benchmarks.kept_tables import WAV2VEC2, KeptTable, run_tables

NEEDS = Needs(hours=24, data=True)
_FOLDER = "benchmarks/low_bits"
CONFORMER = KeptTable("low-conformer", "commands-conformer", f"{_FOLDER}/low-bits.toml")
SEEDS = KeptTable("low-conformer-seeds", "commands-conformer", f"{_FOLDER}/low-bits-seeds.toml")
HUBERT = KeptTable("low-hubert", "commands-hubert", f"{_FOLDER}/low-bits.toml")
WAV2VEC2_TABLE = KeptTable(
    "low-wav2vec2", WAV2VEC2, f"{_FOLDER}/low-bits.toml", {"learning_rate": 2e-4}
)
TABLES = (CONFORMER, SEEDS, HUBERT, WAV2VEC2_TABLE)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the rows that are missing."""
    run_tables(TABLES, __doc__, NEEDS, arguments)


if __name__ == "__main__":
    run(main)
