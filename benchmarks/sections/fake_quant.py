"""How fast weights are quantized and back, against the memory's bandwidth."""

from fake_quant import WAYS, bandwidth
from rows import RESULTS, read_rows

from sections.cells import NOT_MEASURED, table
from sottovoce.plan import Precision


def section() -> str:
    """Of RESULTS.md."""
    title = (
        "## Speed of fake quantization\n\n`python benchmarks/fake_quant.py --threads 1`, and 2: "
        "the 72 matrices of wav2vec2-base's encoder, 85 million weights, to 2 bits and back. GB/s "
        "count the fewest bytes that can move; in brackets, as a share of the bandwidth of a copy "
        "of the same size in the same rounds (aim: 0.5). `tiles` is the default, `fused` the same "
        "compiled ([0019](../docs/decisions/0019-fused-quantizers.md))."
    )
    rows = sorted(read_rows(RESULTS / "fake_quant.json"), key=lambda row: row["machine"]["threads"])
    if not rows:
        return f"{title}\n\n{NOT_MEASURED}"
    lines = []
    for row in rows:
        precision = Precision(**row["precision"])
        copied = bandwidth(row)
        cells = [
            f"{row['bytes'][part] / seconds / 1e9:.1f} "
            f"({row['bytes'][part] / seconds / copied:.2f})"
            for way in WAYS
            for part, seconds in row["seconds"][way].items()
        ]
        each = [precision.grid, precision.scale_per, str(row["machine"]["threads"])]
        lines.append([*each, f"{copied / 1e9:.1f}", *cells])
    headings = ["grid", "a scale per", "threads", "copy GB/s"]
    headings += [f"{way} {part}" for way in WAYS for part in ("forward", "backward")]
    return f"{title}\n\n{rows[0]['machine']['processor']}.\n\n{table(headings, lines)}"
