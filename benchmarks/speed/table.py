"""Speed."""

from benchmarks.cells import NOT_MEASURED, table
from benchmarks.rows import RESULTS, Row, read_rows
from benchmarks.speed.footprints import footprints

_PEAK_SIZE = 2048
_OURS = "sottovoce 8 bits, 8-bit inputs, OpenVINO f32"


def answer() -> str:
    """In a sentence."""
    times = [row for row in read_rows(RESULTS / "runtimes.json") if row["table"] == "time"]
    nncf, fastest = (
        [row["medians"][name] / row["medians"][_OURS] for row in times]
        for name in ("NNCF 8 bits, OpenVINO f32", "PyTorch fp32, eager")
    )
    return (
        f"8 bits on integer kernels run {min(fastest):.1f} to {max(fastest):.1f} times as fast as "
        f"PyTorch, and {min(nncf):.2f} to {max(nncf):.2f} times as fast as NNCF's 8 bits "
        "(OpenVINO, the rest in float32)."
    )


def page() -> str:
    """In Markdown."""
    rows = read_rows(RESULTS / "runtimes.json")
    times = [row for row in rows if row["table"] == "time"]
    title = (
        "# Speed on a CPU\n\n"
        "`python -m benchmarks.runtimes`: seconds for one utterance, random weights in published "
        "shapes, two threads, batch 1; medians of rounds in which all systems take turns. In "
        "brackets: times the first NNCF row's of the same precision for the rest. `8-bit inputs` "
        "runs on int8 kernels, whatever the bits of the stored weights, attention's products too; "
        "the rest is f32 or bf16."
    )
    if not times:
        return f"{title}\n\n{NOT_MEASURED}"
    names = list(dict.fromkeys(name for row in times for name in row["medians"]))
    lines = []
    for name in names:
        nncf = f"NNCF 8 bits, OpenVINO {'bf16' if 'bf16' in name else 'f32'}"
        cells = []
        for row in times:
            own, theirs = row["medians"].get(name), row["medians"].get(nncf)
            beside = f" ({own / theirs:.2f})" if own and theirs and "8-bit inputs" in name else ""
            cells.append(f"{own:.3f}{beside}" if own else "")
        lines.append([name, *cells])
    headings = ["system", *(f"{row['shape']}, {row['seconds']} s" for row in times)]
    peak = next(row for row in rows if row["table"] == "peak")
    told = (
        f"Matrix peaks of the same machine, {_PEAK_SIZE} squared: int8 {peak['int8']:.0f}, bf16 "
        f"{peak['bf16']:.0f}, f32 {peak['f32']:.0f} GOP/s; {peak['machine']['processor']}."
    )
    operations = [row for row in rows if row["table"] == "operations"]
    told += _shares(operations, times, peak)
    return "\n\n".join((title, table(headings, lines), told, footprints()))


def _shares(operations: list[Row], times: list[Row], peak: Row) -> str:
    """How near the int8 peak our 8 bits come."""
    lengths = {(row["shape"], row["seconds"]): row["operations"] for row in operations}
    told = [
        f"{row['shape']}, {row['seconds']} s: {lengths[place] / 1e9:.0f} GOP, "
        f"{lengths[place] / 1e9 / row['medians'][_OURS] / peak['int8']:.0%} of the int8 peak"
        for row in times
        if (place := (row["shape"], row["seconds"])) in lengths
    ]
    return f" {_OURS}: {'; '.join(told)}." if told else ""
