"""How fast weights are quantized and back, against the memory's bandwidth."""

from benchmarks.cells import NOT_MEASURED, table
from benchmarks.fake_quant.run import WAYS, bandwidth
from benchmarks.rows import RESULTS, read_rows
from sottovoce.quantization.plan import Precision


def answer() -> str:
    """In a sentence."""
    rows = read_rows(RESULTS / "fake_quant.json")
    shares = {
        way: [
            row["bytes"][part] / row["seconds"][way][part] / bandwidth(row)
            for row in rows
            for part in ("forward", "backward")
        ]
        for way in WAYS
    }
    return (
        "; ".join(f"{way} {min(share):.2f} to {max(share):.2f}" for way, share in shares.items())
        + " of the bandwidth of a copy."
    )


def page() -> str:
    """In Markdown."""
    title = (
        "# Speed of fake quantization\n\n`python -m benchmarks.fake_quant.run`: "
        "the 72 matrices of wav2vec2-base's encoder, 85 million weights, to 2 bits and back. GB/s "
        "count the fewest bytes that can move; in brackets, as a share of the bandwidth of a copy "
        "of the same size in the same rounds (aim: 0.5). `tiles` is the default, `fused` the same "
        "compiled ([0019](../../docs/decisions/0019-fused-quantizers.md))."
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
