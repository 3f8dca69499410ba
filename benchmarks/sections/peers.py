"""Other tools' weights beside ours."""

from claims import MAIN
from losses import ROWS as LOSSES
from losses import TRIED
from rows import RESULTS, Row, read_rows
from tables import kept_rows

from sections.cells import NOT_MEASURED, percent, standing, table, verdict
from sottovoce.reproduction.table import INPUT


def section() -> str:
    """Of RESULTS.md."""
    title = (
        "## Beside what one would pick today\n\n"
        "`python benchmarks/peers.py`: weights alone, quantized by each tool in its own way, saved "
        "in its own format; the same checkpoint and dev speech. `sottovoce mixed` is `sottovoce "
        "quantize --method mixed`, with the convolutions, the feature projection and the head at 8 "
        "bits, on 150 training utterances. `sottovoce compress` are of the main rows (above): "
        "170 updates, the rest in floating point where it is not said otherwise. Ordered by size."
    )
    rows = read_rows(RESULTS / "peers.json")
    if not rows:
        return f"{title}\n\n{NOT_MEASURED}"
    cells = [(row["bytes"], standing(row)) for row in rows if "refused" not in row]
    cells += [(row["bytes"], _trained(row)) for row in _ours_trained()]
    lines = [line for _, line in sorted(cells, key=lambda one: -one[0])]
    lines += [[row["system"], "", "", "", row["refused"]] for row in rows if "refused" in row]
    headings = ["system", "MB", "dev WER", "95% interval", "against the checkpoint"]
    return f"{title}\n\n{table(headings, lines)}"


def _ours_trained() -> list[Row]:
    tried = [name for name in TRIED[MAIN] if name.startswith("default") and "seed" not in name]
    return [row for row in kept_rows(MAIN) if row["name"] in tried]


def _trained(row: Row) -> list[str]:
    system = row["name"].replace("default-", "").replace("-cnn-8", " bits, 8-bit CNNs")
    named = f"sottovoce compress, {system}" + ("" if "bits" in system else " bits")
    pair = [row["name"], INPUT]
    tests = [verdict(one) for one in read_rows(LOSSES) if one["pair"] == pair]
    return [named, f"{row['bytes'] / 1e6:.2f}", percent(row["wer"]["dev"]), "", *tests]
