"""Whether runtimes hear the same."""

from benchmarks.cells import NOT_MEASURED, percent, table
from benchmarks.rows import RESULTS, read_rows


def answer() -> str:
    """In a sentence."""
    rows = read_rows(RESULTS / "runtime_words.json")
    verdicts = {row["verdict"] for row in rows if row["differing"]}
    most = max(len(row["differing"]) for row in rows)
    return (
        f"at most {most} of {rows[0]['utterances']} utterances read otherwise than in PyTorch; "
        f"verdict: {', '.join(sorted(verdicts))}."
    )


def page() -> str:
    """In Markdown."""
    rows = read_rows(RESULTS / "runtime_words.json")
    title = (
        "# Does every runtime hear the same?\n\n"
        "`python -m benchmarks.runtime_words.run`: one artifact in every runtime, dev speech; how "
        "many of its utterances read otherwise than in PyTorch, the verdict on that, and "
        "by how much PyTorch preferred its label where such an utterance first parts (logits). "
        "Rounded inputs that lie between two codes fall to either side, and bfloat16 rounds the "
        "rest; `joint-3-int8` is `joint-3` after `sottovoce calibrate`. Real-time "
        "factors are on one thread beside other work: not to be compared."
    )
    if not rows:
        return f"{title}\n\n{NOT_MEASURED}"
    lines = [
        [
            row["artifact"],
            row["runtime"],
            percent(row["wer"]),
            f"{len(row['differing'])} of {row['utterances']}",
            row["verdict"] if row["differing"] else "",
            f"{max(one['margin'] for one in row['differing'].values()):.2f}"
            if row["differing"]
            else "",
            f"{row['real_time_factor']:.4f}",
        ]
        for row in rows
    ]
    headings = ["artifact", "runtime", "dev WER", "differ", "verdict", "margin", "real-time factor"]
    return f"{title}\n\n{table(headings, lines)}"
