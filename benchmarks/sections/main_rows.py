"""Five ways to 3 bits: the luck of a run, the learning rate, and other families."""

from statistics import fmean, median, stdev

from claims import ALL_SEEDS, LONGER, MAIN, MAIN_HUBERT, MAIN_WAVLM, RATES
from rows import RESULTS, Row, read_rows
from tables import kept_rows

from sections.cells import NOT_MEASURED, percent, table
from sottovoce.reproduction.table import INPUT

_SYSTEMS = {
    "U1": "U1, full precision",
    "uniform-3": "uniform",
    "two-stage-3": "two-stage, KL",
    "paper-3": "joint, as the paper has it (one-pass, KL)",
    "default-3": "joint, our default",
}
_RATES = {
    "2.5e-5": "-rate-2.5e-5",
    "5e-5": "-rate-5e-5",
    "1e-4": "-rate-1e-4",
    "2e-4": "",
    "5e-4": "-rate-5e-4",
}
_OTHERS = {"HuBERT": MAIN_HUBERT, "WavLM": MAIN_WAVLM}
_VARIED = {
    "default-3-longer": "joint, our default, 230 updates",
    "default-3-batch-34": "joint, our default, as many seconds in batches a third as long",
    "default-3-kl": "joint, our default, towards the start point to the end",
    "default-3-four-widths": "joint, our default, of 2, 3, 4 and 8 bits",
    "default-3-tensor": "joint, our default, a scale a tensor from LSQ's start",
    "default-3-tensor-four-widths": "the same, of 2, 3, 4 and 8 bits",
}
_BY_SEED = ["system", "bits", "effective", "MB", "dev WER by seed", "mean", "spread", "time"]
_UNLABELLED = {"default-3-unlabelled": "joint, our default, without transcripts"}


def section() -> str:
    """Of RESULTS.md."""
    rows = {row["name"]: row for row in kept_rows(MAIN)}
    title = (
        "## Five ways to 3 bits\n\n"
        "`benchmarks/main-rows.toml` (its command is with the tables, below): 100 updates each at "
        "2e-4, ours 170, dev speech; a pass of P1's recipe and every uniform model of the two "
        "stages has 100 of its own. Spread: the sample standard deviation over the seeds. Time: "
        "of training in CPU time, the median over the seeds, over U1's; the cached teacher's "
        f"pass is in none{_teacher_pass()}. Each pair of rows is tested under the claims."
    )
    if "U1" not in rows:
        return f"{title}\n\n{NOT_MEASURED}"
    unit = _seconds(_seeds_of("U1", rows))
    lines = [
        _over_seeds(system, _seeds_of(name, rows), unit)
        for name, system in {**_SYSTEMS, **_UNLABELLED}.items()
        if name in rows
    ]
    parts = [title, table(_BY_SEED, lines)]
    if rates := {row["name"]: row for row in kept_rows(RATES)}:
        about = (
            "The same at other learning rates (`benchmarks/rates.toml`), by seed. These, and ours "
            "at 2e-4, were trained on another processor: rounding alone moves a run from "
            f"{percent(rows['default-3']['wer']['dev'])} to "
            f"{percent(rates['default-3']['wer']['dev'])}."
        )
        parts += [about, _over_rates({**rows, **rates})]
    if longer := {row["name"]: row for row in kept_rows(LONGER)}:
        about = (
            "With three times the updates (`benchmarks/longer.toml`: 300, ours 510), where U1 has "
            f"{percent(longer['U1-300']['wer']['dev'])}, by seed; time over that U1's:"
        )
        parts += [about, _three_times(longer)]
    families = {family: kept_rows(name) for family, name in _OTHERS.items()}
    if any(families.values()):
        about = "Of other families (`benchmarks/train_references.py`), first seed; time over U1's:"
        parts += [about, _over_families(families)]
    return "\n\n".join(parts)


def _teacher_pass() -> str:
    """What it would add."""
    spent = {row.get("heard"): row for row in read_rows(RESULTS / "teacher_pass.json")}
    if not {"search", "all", None} <= spent.keys():
        return ""
    update = spent.pop(None)["cpu_seconds"]
    search, everything = (
        f"{spent[heard]['cpu_seconds'] / update:.0f} updates" for heard in ("search", "all")
    )
    return (
        f" (`python benchmarks/teacher_pass.py`: over the {spent['search']['utterances']:,} "
        f"utterances that the search hears it takes as long as {search}; over all "
        f"{spent['all']['utterances']:,}, as when these rows were trained, as {everything})"
    )


def _seeds_of(name: str, rows: dict[str, Row]) -> list[Row]:
    return [rows[f"{name}{seed}"] for seed in ALL_SEEDS if f"{name}{seed}" in rows]


def _seconds(rows: list[Row]) -> float:
    """Of the processor, to train one of them."""
    return median(row["cpu_seconds"] for row in rows)


def _over_seeds(system: str, rows: list[Row], unit: float) -> list[str]:
    rates = [row["wer"]["dev"] for row in rows]
    return [
        system,
        f"{rows[0]['bits']:.2f}",
        f"{rows[0]['effective_bits']:.2f}",
        f"{rows[0]['bytes'] / 1e6:.2f}",
        ", ".join(map(percent, rates)),
        percent(fmean(rates)),
        percent(stdev(rates)) if len(rates) > 1 else "",
        f"{_seconds(rows) / unit:.2f}",
    ]


def _over_rates(rows: dict[str, Row]) -> str:
    lines = [
        [
            system,
            *(
                ", ".join(percent(row["wer"]["dev"]) for row in _seeds_of(f"{name}{suffix}", rows))
                for suffix in _RATES.values()
            ),
        ]
        for name, system in {**_SYSTEMS, **_VARIED}.items()
    ]
    return table(["system", *_RATES], lines)


def _three_times(rows: dict[str, Row]) -> str:
    """Ours, and the paper's at each rate."""
    unit = _seconds([rows["U1-300"]])
    lines = [_over_seeds("joint, our default, 2e-4", _seeds_of("default-3", rows), unit)] + [
        _over_seeds(f"{_SYSTEMS['paper-3']}, {rate}", _seeds_of(f"paper-3{suffix}", rows), unit)
        for rate, suffix in _RATES.items()
        if f"paper-3{suffix}" in rows
    ]
    return table(_BY_SEED, lines)


def _over_families(families: dict[str, list[Row]]) -> str:
    lines = []
    for family, kept in families.items():
        rows = {row["name"]: row for row in kept}
        lines += [
            [
                family,
                "checkpoint as given" if name == INPUT else _SYSTEMS[name],
                f"{row['bits']:.2f}",
                f"{row['bytes'] / 1e6:.2f}",
                percent(row["wer"]["dev"]),
                row["verdicts"].get("dev", ""),
                "" if name == INPUT else f"{row['cpu_seconds'] / rows['U1']['cpu_seconds']:.2f}",
            ]
            for name, row in rows.items()
            if name in (INPUT, *_SYSTEMS)
        ]
    return table(["family", "system", "bits", "MB", "dev WER", "against U1", "time"], lines)
