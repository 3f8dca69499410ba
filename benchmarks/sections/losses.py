"""How low each method goes and loses nothing."""

from losses import AGAINST, RECIPE_ROWS, ROWS, TRIED
from rows import Row, read_rows
from tables import kept_rows

from sections.cells import NOT_MEASURED, percent, table, verdict

_STARTS = {
    "main-rows": "wav2vec 2.0",
    "rates": "wav2vec 2.0",
    "main-hubert": "HuBERT",
    "main-wavlm": "WavLM",
    "low-wav2vec2": "wav2vec 2.0, 600 updates",
    "low-conformer": "Conformer, 600 updates",
}


def section() -> str:
    """Of RESULTS.md."""
    title = (
        "## How low, and nothing lost\n\n"
        "`python benchmarks/losses.py`: rows of the tables below, dev speech, against the "
        "checkpoint that all of them start from and against U1, which is that checkpoint trained "
        "on in full precision for as many updates as the shortest of them. *Lossless*: no "
        "significant increase, and one of 10% would have been found; *inconclusive*: no "
        "significant increase, but too few words to say so. Behind the verdict: between what "
        "and what the errors change, a 95% interval. A row without a seed in its name is of the "
        "first."
    )
    tested = {(row["table"], *row["pair"]): row for row in read_rows(ROWS)}
    if not tested:
        return f"{title}\n\n{NOT_MEASURED}"
    lines = [
        _line(_STARTS[name], row, [tested[name, row["name"], one] for one in AGAINST])
        for name, wanted in TRIED.items()
        for row in sorted(kept_rows(name), key=lambda row: -row["bits"])
        if row["name"] in wanted and (name, row["name"], AGAINST[-1]) in tested
    ]
    headings = ["start", "row", "bits", "effective", "MB", "ratio", "dev WER"]
    parts = [title, table([*headings, "against the start", "against U1"], lines)]
    if recipes := read_rows(RECIPE_ROWS):
        about = (
            "A recipe rather than one run of it: errors are means over three seeds, paired by "
            "utterance, against the start and one run of U1. What the seeds leave of the luck p "
            "does not know."
        )
        parts += [about, _of_recipes(recipes)]
    return "\n\n".join(parts)


def _of_recipes(rows: list[Row]) -> str:
    lines = [
        [
            f"{row['table']}: {row['pair'][0]}",
            row["pair"][1],
            ", ".join(map(percent, row["wers"][0])),
            " against ".join(map(percent, row["wer"])),
            _told(row),
        ]
        for row in rows
    ]
    return table(["recipe", "against", "dev WER by seed", "means", "the first is"], lines)


def _line(start: str, row: Row, tests: list[Row]) -> list[str]:
    return [
        start,
        row["name"],
        f"{row['bits']:.2f}",
        f"{row['effective_bits']:.2f}",
        f"{row['bytes'] / 1e6:.2f}",
        f"{row['ratio']:.1f}",
        percent(row["wer"]["dev"]),
        *map(_told, tests),
    ]


def _told(test: Row) -> str:
    if test["interval"] is None:
        return verdict(test)
    low, high = test["interval"]
    return f"{verdict(test)}; {100 * low:+.1f} to {100 * high:+.1f}%"
