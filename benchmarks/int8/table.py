"""8 bits without training."""

from benchmarks.cells import NOT_MEASURED, percent, standing, table
from benchmarks.rows import RESULTS, read_rows


def answer() -> str:
    """In a sentence."""
    rows = {row["system"]: row for row in read_rows(RESULTS / "posttraining.json")}
    ours, theirs = rows["sottovoce adaptive"], rows["NNCF"]
    return (
        f"Our adaptive ranges have {percent(ours['wer'])} ({ours['verdict']}) in "
        f"{ours['bytes'] / 1e6:.2f} MB, NNCF's own quantization {percent(theirs['wer'])} "
        f"({theirs['verdict']}) in {theirs['bytes'] / 1e6:.2f} MB."
    )


def page() -> str:
    """In Markdown."""
    title = (
        "# 8 bits for weights and inputs, without training\n\n"
        "`python -m benchmarks.posttraining`: the same checkpoint, dev speech and 150 training "
        "utterances of calibration speech. Float inputs: layers whose inputs stay in floating "
        "point, their weights at 8 bits. 8-bit attentions: of 6, those whose products take 8 bits "
        "too. NNCF's quantization is its own for transformers, run by OpenVINO; its bytes are "
        "those of the saved graph. CPU-minutes are of quantizing, on one thread beside other runs. "
        "The row of adaptive was measured when calibration was not bounded yet."
    )
    rows = read_rows(RESULTS / "posttraining.json")
    if not rows:
        return f"{title}\n\n{NOT_MEASURED}"
    lines = [
        [
            *standing(row),
            str(len(row["float_inputs"])) if "float_inputs" in row else "",
            str(row.get("quantized_attentions", "")),
            "" if row["cpu_minutes"] is None else f"{row['cpu_minutes']:.1f}",
        ]
        for row in rows
    ]
    headings = [
        "system",
        "MB",
        "dev WER",
        "95% interval",
        "against the checkpoint",
        "float inputs",
        "8-bit attentions",
        "CPU-min",
    ]
    return f"{title}\n\n{table(headings, lines)}"
