"""Ways to 3 bits (and 4, 3.5, 2.5): several seeds, learning rates, trainings and families.

    python -m benchmarks.three_bits.run
    python -m benchmarks.three_bits.run --table longer

The rows are in the TOML files beside this script, with the pairs of them that are tested. They run
in `runs/` and are kept in `benchmarks/results/`; started again, it goes on with what is missing.
"""

from collections.abc import Sequence

from benchmarks.inputs import Needs, run
from benchmarks.kept_tables import WAV2VEC2, KeptTable, run_tables

NEEDS = Needs(hours=24, data=True)
_FOLDER = "benchmarks/three_bits"
MAIN = KeptTable("main-rows", WAV2VEC2, f"{_FOLDER}/main-rows.toml")
RATES = KeptTable("rates", WAV2VEC2, f"{_FOLDER}/rates.toml")
LONGER = KeptTable("longer", WAV2VEC2, f"{_FOLDER}/longer.toml")
HUBERT = KeptTable("main-hubert", "commands-hubert", f"{_FOLDER}/main-rows.toml")
WAVLM = KeptTable("main-wavlm", "commands-wavlm", f"{_FOLDER}/main-rows.toml")
TABLES = (MAIN, RATES, LONGER, HUBERT, WAVLM)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the rows that are missing."""
    run_tables(TABLES, __doc__, NEEDS, arguments)


if __name__ == "__main__":
    run(main)
