"""StableQuant as published, and ours."""

from benchmarks.cells import NOT_MEASURED, percent, standing, table
from benchmarks.rows import read_rows
from benchmarks.stablequant.run import ROWS


def answer() -> str:
    """In a sentence."""
    told = (
        f"{row['system']} has {percent(row['wer'])} ({row['verdict']}) in "
        f"{row['bytes'] / 1e6:.2f} MB, {row['times_as_fast']:.1f} times as fast as full precision"
        for row in read_rows(ROWS)
    )
    return f"{'; '.join(told)}." if read_rows(ROWS) else NOT_MEASURED


def page() -> str:
    """In Markdown."""
    title = (
        "# StableQuant as published, and ours\n\n`python -m benchmarks.stablequant.run`: each row "
        "is one folder: its bytes, its error rate, and the speed of that same folder in the "
        "fastest installed runtime, beside the checkpoint's in its fastest. Float inputs: layers "
        "whose inputs stay in floating point."
    )
    rows = read_rows(ROWS)
    if not rows:
        return f"{title}\n\n{NOT_MEASURED}"
    lines = [
        [
            *standing(row),
            str(len(row["float_inputs"])),
            f"{row['runtime']} {row['real_time_factor']:.4f}",
            f"{row['full_precision_runtime']} {row['full_precision_real_time_factor']:.4f}",
            f"{row['times_as_fast']:.2f}x",
            "" if row["cpu_minutes"] is None else f"{row['cpu_minutes']:.1f}",
        ]
        for row in rows
    ]
    headings = [
        *("system", "MB", "dev WER", "95% interval", "against the checkpoint", "float inputs"),
        *("real-time factor", "full precision's", "speed", "CPU-min"),
    ]
    return f"{title}\n\n{table(headings, lines)}"
