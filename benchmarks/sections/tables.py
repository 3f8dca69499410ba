"""The paper's tables, as far as they are run."""


def section() -> str:
    """Of RESULTS.md."""
    return (
        "## The paper's Table I, and ours by size\n\n"
        "`sottovoce reproduce I --steps 100 --learning-rate 2e-4 --evaluations 1` on the reference "
        "recogniser and `commands`: [rows so far](results/table-1.md); and `reproduce "
        "benchmarks/frontier.toml` likewise: [rows so far](results/frontier.md). Both are "
        "unfinished. The machine did other work meanwhile, the second table's most of all: do not "
        "read its times. At this length U1 has lost against the input checkpoint (15.41% against "
        "14.14%), so that a verdict against it says little."
    )
