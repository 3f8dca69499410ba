"""Other tools' weights beside ours."""

from benchmarks.cells import NOT_MEASURED, percent, standing, table
from benchmarks.rows import RESULTS, read_rows
from benchmarks.three_bits.run import MAIN
from sottovoce.reproduction.page import verdict_text
from sottovoce.reproduction.pair_tests import PairTest
from sottovoce.reproduction.results import Result
from sottovoce.reproduction.table import INPUT


def answer() -> str:
    """In a sentence."""
    rows = {row["system"]: row for row in read_rows(RESULTS / "peers.json")}

    def told(system: str) -> str:
        return f"{percent(rows[system]['wer'])} in {rows[system]['bytes'] / 1e6:.2f} MB"

    return (
        f"without training, `quantize --method mixed` has {told('sottovoce mixed, 2.5 bits')} and "
        f"{told('sottovoce mixed, 5 bits')}; HQQ at 2 bits {told('HQQ 2 bits, groups of 64')}, "
        f"quanto at 2 bits {told('quanto 2 bits')}, NNCF at 4 bits "
        f"{told('NNCF int4, groups of 64')}."
    )


def page() -> str:
    """In Markdown."""
    title = (
        "# Beside other tools\n\n"
        "`python -m benchmarks.peers.run`: weights alone, quantized by each tool in its own way, "
        "saved in its own format; the same checkpoint and dev speech. `sottovoce mixed` is "
        "`sottovoce quantize --method mixed`, with the convolutions, the feature projection and "
        "the head at 8 bits, on 150 training utterances. `sottovoce compress` are of [the main "
        "rows](main-rows.md): 170 updates, the rest in floating point where it is not said "
        "otherwise. Ordered by size."
    )
    rows = read_rows(RESULTS / "peers.json")
    if not rows:
        return f"{title}\n\n{NOT_MEASURED}"
    cells = [(row["bytes"], standing(row)) for row in rows if "refused" not in row]
    cells += [(row.bytes, _trained(row, test)) for row, test in _ours_trained()]
    lines = [line for _, line in sorted(cells, key=lambda one: -one[0])]
    lines += [[row["system"], "", "", "", row["refused"]] for row in rows if "refused" in row]
    headings = ["system", "MB", "dev WER", "95% interval", "against the checkpoint"]
    return f"{title}\n\n{table(headings, lines)}"


def _ours_trained() -> list[tuple[Result, PairTest]]:
    """First seeds of our recipe, and what was found of them against the input checkpoint."""
    against_input = [one for one in MAIN.tests if one.baseline == (INPUT,)]
    return [
        (MAIN.rows[test.candidate[0]], test)
        for test in against_input
        if test.candidate[0].startswith("default") and "seed" not in test.candidate[0]
    ]


def _trained(row: Result, test: PairTest) -> list[str]:
    system = row.name.replace("default-", "").replace("-cnn-8", " bits, 8-bit CNNs")
    named = f"sottovoce compress, {system}" + ("" if "bits" in system else " bits")
    return [named, f"{row.bytes / 1e6:.2f}", percent(row.wer["dev"]), "", verdict_text(test)]
