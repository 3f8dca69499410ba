"""Joint learning at several sizes."""

from collections.abc import Sequence

from benchmarks.cells import NOT_MEASURED, percent, table, verdict
from benchmarks.rows import RESULTS, read_rows


def answer() -> str:
    """In a sentence."""
    rows = {row["system"]: row for row in read_rows(RESULTS / "sizes.json")}
    start, small, smallest = rows["joint 4"], rows["joint 2.5"], rows["joint 2.5, 8-bit CNNs"]
    return (
        f"after 600 updates, 2.5 bits have {percent(small['wer'])} in "
        f"{small['bytes'] / 1e6:.2f} MB ({small['ratio']:.1f} times smaller), with 8-bit "
        f"CNNs {percent(smallest['wer'])} in "
        f"{smallest['bytes'] / 1e6:.2f} MB ({smallest['ratio']:.1f} times); the checkpoint has "
        f"{percent(start['input_wer'])}, full-precision fine-tuning {percent(rows['U1']['wer'])}."
    )


def page() -> str:
    """In Markdown."""
    rows = read_rows(RESULTS / "sizes.json")
    rows.sort(key=lambda row: -row.get("nominal_bits", 32))
    title = (
        "# Joint learning on real speech\n\n"
        "`python -m benchmarks.sizes.run`: the reference recogniser (2.9M parameters), `commands`, "
        "dev speakers, default recipe, the same updates of about 101 s of audio for every system. "
        "U1 is full-precision fine-tuning with the same updates, data and seed. Options of the "
        "recipe (the KL weights and the share of the search) were set after looking at these dev "
        "speakers, so the verdicts are for development, not a final measurement. CPU-minutes are "
        "of training, in the rows so far of the whole run, on one thread beside another run. The "
        "second seed at 4 bits, whose plan is the same, shows how far the luck of a run goes."
    )
    if not rows:
        return f"{title}\n\n{NOT_MEASURED}"
    first = next((row for row in rows if "input_wer" in row), None)
    lines = []
    if first:
        lines.append(["input checkpoint", "32", "32", "", "1.0", percent(first["input_wer"])])
    for row in rows:
        verdicts = row.get("verdicts", {})
        lines.append(
            [
                row["system"],
                f"{row.get('nominal_bits', 32):.2f}",
                f"{row.get('effective_bits', 32):.2f}",
                f"{row['bytes'] / 1e6:.2f}",
                f"{row.get('ratio', 1.0):.2f}",
                percent(row["wer"]),
                f"{percent(row['interval'][0])} to {percent(row['interval'][1])}",
                *(verdict(one) for one in verdicts.values()),
                *[""] * (2 - len(verdicts)),
                str(row["recipe"]["steps"]),
                f"{row['cpu_minutes']:.0f}" if "cpu_minutes" in row else "",
            ]
        )
    headings = [
        "system",
        "nominal bits",
        "effective",
        "MB",
        "ratio",
        "dev WER",
        "95% interval",
        "against input",
        "against U1",
        "updates",
        "CPU-min",
    ]
    plans = "\n".join(
        f"- {row['system']}: {_by_depth(row['plan'])}" for row in rows if "plan" in row
    )
    return (
        f"{title}\n\n{table(headings, lines)}\n\n"
        f"Plans, bits of q k v out in out by depth:\n\n{plans}"
    )


def _by_depth(plan: Sequence[int]) -> str:
    return " ".join("".join(map(str, plan[start : start + 6])) for start in range(0, len(plan), 6))
