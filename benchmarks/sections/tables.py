"""The papers' tables, as far as they are run."""

_DATA = "--train ../shared/data/commands/train.jsonl --test dev=../shared/data/commands/dev.jsonl"


def section() -> str:
    """Of RESULTS.md."""
    return (
        "## The papers' tables, and ours by size\n\n"
        f"`sottovoce reproduce ... {_DATA} --evaluations 1`, and\n\n"
        "- `I --checkpoint ../shared/models/commands-wav2vec2 --steps 100 --learning-rate 2e-4`: "
        "[rows so far](results/table-1.md). Left: F2 to F9.\n"
        "- `benchmarks/frontier.toml`, the same checkpoint and rate: "
        "[rows so far](results/frontier.md).\n"
        "- `P2 --checkpoint benchmarks/models/commands-conformer --steps 100 --learning-rate "
        "1e-4`: [all rows](results/table-p2.md).\n"
        "- `benchmarks/low-bits.toml --checkpoint benchmarks/models/commands-conformer --row 2A-64 "
        "--row joint-1.8`: [rows so far](results/low-bits-conformer.md); "
        "`--checkpoint benchmarks/models/commands-hubert --row joint-2.25`: "
        "[rows so far](results/low-bits-hubert.md). The rate was chosen on the Conformer, by "
        "these dev speakers; for HuBERT it is too high: U1 loses too.\n\n"
        "One rate for all rows of a table, not a grid. The machine did other work during some "
        "rows: times of the default recipe's, of O4 and of N4 are too long. At this length U1 of "
        "the first two has lost against the input checkpoint (15.41% against 14.14%), so that a "
        "verdict against it says little."
    )
