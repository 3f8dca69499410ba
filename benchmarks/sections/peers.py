"""Other tools' weights beside ours."""

from rows import RESULTS, read_rows

from sections.cells import NOT_MEASURED, standing, table


def section() -> str:
    """Of RESULTS.md."""
    title = (
        "## Without training, beside what one would pick today\n\n"
        "`python benchmarks/peers.py`: weights alone, quantized by each tool in its own way, saved "
        "in its own format; the same checkpoint and dev speech. `sottovoce mixed` is `sottovoce "
        "quantize --method mixed`, with the convolutions, the feature projection and the head at 8 "
        "bits, on 150 training utterances. Ordered by size."
    )
    rows = read_rows(RESULTS / "peers.json")
    if not rows:
        return f"{title}\n\n{NOT_MEASURED}"
    lines = [
        standing(row)
        for row in sorted(rows, key=lambda row: -row.get("bytes", 0))
        if "refused" not in row
    ]
    lines += [[row["system"], "", "", "", row["refused"]] for row in rows if "refused" in row]
    headings = ["system", "MB", "dev WER", "95% interval", "against the checkpoint"]
    return f"{title}\n\n{table(headings, lines)}"
