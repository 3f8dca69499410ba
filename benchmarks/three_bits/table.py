"""Five ways to 3 bits: the luck of a run, the learning rate, and other families."""

from collections.abc import Mapping
from statistics import fmean, median, stdev

from benchmarks.cells import NOT_MEASURED, percent, table
from benchmarks.kept_tables import listed
from benchmarks.rows import RESULTS, read_rows
from benchmarks.three_bits.run import HUBERT, LONGER, MAIN, RATES, TABLES, WAVLM
from sottovoce.reproduction.results import Result
from sottovoce.reproduction.table import INPUT
from sottovoce.wording import plural

_SEEDS = ("", *(f"-seed-{seed}" for seed in range(1, 6)))

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
_OTHERS = {"HuBERT": HUBERT, "WavLM": WAVLM}
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


def answer() -> str:
    """In a sentence."""
    rows, rates, longer = MAIN.rows, RATES.rows, LONGER.rows

    def mean(name: str, table: Mapping[str, Result]) -> str:
        runs = _seeds_of(name, table)
        return f"{percent(fmean(one.wer['dev'] for one in runs))} ({plural(len(runs), 'run')})"

    return (
        f"ours {mean('default-3', rates)}, uniform {mean('uniform-3-rate-5e-5', rates)}, xu2025's "
        f"joint {mean('paper-3-rate-2.5e-5', rates)}, each at the best rate that was tried; "
        f"two-stage {mean('two-stage-3', rows)} at 2e-4. With three times the updates ours "
        f"{mean('default-3', longer)}, xu2025's {mean('paper-3-rate-2.5e-5', longer)}."
    )


def page() -> str:
    """In Markdown."""
    rows = MAIN.rows
    title = (
        "# Five ways to 3 bits\n\n"
        "`python -m benchmarks.three_bits.run` (`main-rows.toml`): 100 updates each at "
        "2e-4, ours 170, dev speech; a pass of P1's recipe and every uniform model of the two "
        "stages has 100 of its own. Spread: the sample standard deviation over the seeds. Time: "
        "of training in CPU time, the median over the seeds, over U1's; the cached teacher's "
        f"pass is in none{_teacher_pass()}. Pairs of rows are "
        "tested on the tables' own pages, at the end."
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
    if rates := RATES.rows:
        about = (
            "The same at other learning rates (`rates.toml`), by seed. These, and ours "
            "at 2e-4, were trained on another processor: rounding alone moves a run from "
            f"{percent(rows['default-3'].wer['dev'])} to "
            f"{percent(rates['default-3'].wer['dev'])}."
        )
        parts += [about, _over_rates({**rows, **rates})]
    if longer := LONGER.rows:
        about = (
            "With three times the updates (`longer.toml`: 300, ours 510), where U1 has "
            f"{percent(longer['U1-300'].wer['dev'])}, by seed; time over that U1's:"
        )
        parts += [about, _three_times(longer)]
    if any(one.rows for one in _OTHERS.values()):
        about = "Of other families (`benchmarks/models`), first seed; time over U1's:"
        parts += [about, _over_families()]
    parts += ["The tables row by row, and what is claimed of them:", listed(TABLES)]
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
        f" (`python -m benchmarks.teacher_pass.run`: over the {spent['search']['utterances']:,} "
        f"utterances that the search hears it takes as long as {search}; over all "
        f"{spent['all']['utterances']:,}, as when these rows were trained, as {everything})"
    )


def _seeds_of(name: str, rows: Mapping[str, Result]) -> list[Result]:
    return [rows[f"{name}{seed}"] for seed in _SEEDS if f"{name}{seed}" in rows]


def _seconds(rows: list[Result]) -> float:
    """Of the processor, to train one of them."""
    return median(row.cpu_seconds or 0.0 for row in rows)


def _over_seeds(system: str, rows: list[Result], unit: float) -> list[str]:
    rates = [row.wer["dev"] for row in rows]
    return [
        system,
        f"{rows[0].bits:.2f}",
        f"{rows[0].effective_bits:.2f}",
        f"{rows[0].bytes / 1e6:.2f}",
        ", ".join(map(percent, rates)),
        percent(fmean(rates)),
        percent(stdev(rates)) if len(rates) > 1 else "",
        f"{_seconds(rows) / unit:.2f}",
    ]


def _over_rates(rows: Mapping[str, Result]) -> str:
    lines = [
        [
            system,
            *(
                ", ".join(percent(row.wer["dev"]) for row in _seeds_of(f"{name}{suffix}", rows))
                for suffix in _RATES.values()
            ),
        ]
        for name, system in {**_SYSTEMS, **_VARIED}.items()
    ]
    return table(["system", *_RATES], lines)


def _three_times(rows: Mapping[str, Result]) -> str:
    """Ours, and the paper's at each rate."""
    unit = _seconds([rows["U1-300"]])
    lines = [_over_seeds("joint, our default, 2e-4", _seeds_of("default-3", rows), unit)] + [
        _over_seeds(f"{_SYSTEMS['paper-3']}, {rate}", _seeds_of(f"paper-3{suffix}", rows), unit)
        for rate, suffix in _RATES.items()
        if f"paper-3{suffix}" in rows
    ]
    return table(_BY_SEED, lines)


def _over_families() -> str:
    lines = []
    for family, kept in _OTHERS.items():
        rows = kept.rows
        lines += [
            [
                family,
                "checkpoint as given" if name == INPUT else _SYSTEMS[name],
                f"{row.bits:.2f}",
                f"{row.bytes / 1e6:.2f}",
                percent(row.wer["dev"]),
                row.verdicts.get("dev", ""),
                "" if name == INPUT else f"{_seconds([row]) / _seconds([rows['U1']]):.2f}",
            ]
            for name, row in rows.items()
            if name in (INPUT, *_SYSTEMS)
        ]
    return table(["family", "system", "bits", "MB", "dev WER", "against U1", "time"], lines)
