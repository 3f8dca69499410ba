"""Long recordings."""

from benchmarks.cells import NOT_MEASURED, percent, table
from benchmarks.rows import RESULTS, read_rows


def answer() -> str:
    """In a sentence."""
    rows = {row["way"]: row for row in read_rows(RESULTS / "chunking.json") if "way" in row}
    return (
        f"in chunks of 10 s with 2 s of context this recogniser has "
        f"{percent(rows['10 s, 2 s']['wer'])}, uncut {percent(rows['whole']['wer'])}, utterance by "
        f"utterance {percent(rows['apart']['wer'])}; memory does not grow with the recording."
    )


def page() -> str:
    """In Markdown."""
    title = (
        "# Long recordings in chunks\n\n"
        "`python -m benchmarks.chunking.run`: `commands` dev utterances of one speaker joined to "
        "recordings of about a minute, the reference recogniser (trained on utterances of seconds)."
        " Chunk: seconds heard at once, context included; context: seconds at either end that are "
        "dropped. `apart` hears the utterances one by one, `whole` the recordings uncut. See [the "
        "decision](../../docs/decisions/0013-long-recordings-are-heard-in-chunks.md)."
    )
    rows = read_rows(RESULTS / "chunking.json")
    words = [
        [row["way"], percent(row["wer"]), str(row["errors"]), f"{row['cpu_seconds']:.0f}"]
        for row in rows
        if row["measure"] == "words"
    ]
    if not words:
        return f"{title}\n\n{NOT_MEASURED}"
    memory = [
        [
            row["model"],
            str(row["minutes"]),
            f"{row['chunk']:g} s, {row['context']:g} s",
            f"{row['bytes'] / 1e9:.2f}",
            f"{row['cpu_seconds']:.0f}",
        ]
        for row in rows
        if row["measure"] == "memory"
    ]
    about = (
        "`python -m benchmarks.chunking.run`: the largest resident size of a process that "
        "transcribes one file, noise in stereo at 44.1 kHz; interpreter and libraries (about "
        "0.4 GB) are in it. It does not grow with the file."
    )
    return "\n\n".join(
        (
            title,
            table(["chunk, context", "dev WER", "errors", "CPU-s"], words),
            about,
            table(["model", "minutes", "chunk, context", "peak GB", "CPU-s"], memory),
        )
    )
