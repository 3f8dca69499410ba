"""The paper's claims, and ours against it, at our scale."""

from claims import CLAIMS, RECIPE_ROWS, ROWS
from rows import Row, read_rows

from sections.cells import NOT_MEASURED, percent, table, verdict

_ANSWERS = {"better": "yes", "worse": "no, the reverse", "lossless": "not shown"}


def section() -> str:
    """Of RESULTS.md."""
    title = (
        "## Claims, one by one\n\n`python benchmarks/claims.py`: pairs of rows of the tables "
        "below, same start point, data and seed, by the matched-pairs test on dev. Luck moves "
        "these error rates by half a point (see the seeds above), which a test of two given models "
        "does not know: where there is one seed only, a yes is of that run. Time: of training, the "
        "first over the second, where it is known of both."
    )
    rows = read_rows(ROWS)
    if not rows:
        return f"{title}\n\n{NOT_MEASURED}"
    order, timed = [one.text for one in CLAIMS], {one.text for one in CLAIMS if one.timed}
    rows.sort(key=lambda row: order.index(row["claim"]))
    lines = [
        [
            row["claim"],
            " against ".join(row["pair"]),
            f"{row['bits'][0]:.2f}",
            " against ".join(percent(one) for one in row["wer"]),
            verdict(row),
            _ANSWERS.get(row["verdict"], "not shown"),
            f"{row['seconds'][0] / row['seconds'][1]:.2f}" if row["claim"] in timed else "",
        ]
        for row in rows
    ]
    headings = ["claim", "rows", "bits", "dev WER", "the first is", "so", "time"]
    parts = [title, table(headings, lines)]
    if recipes := read_rows(RECIPE_ROWS):
        about = (
            "Recipes over several seeds each, at the rates that served them best on this dev "
            "speech (ours 170 updates, the others 100): errors are means over the seeds, paired by "
            "utterance. p is about the utterances; what the seeds leave of the luck it does not "
            "know. Where there are six, the second three were asked for, before they ran, because "
            "the first three had left p = 0.07 between ours and the paper's recipe: a test of all "
            "six has looked twice, one of the second three alone has not. So were the second and "
            "third seed at 2.5 bits."
        )
        parts += [about, _of_recipes(recipes)]
    return "\n\n".join(parts)


def _of_recipes(rows: list[Row]) -> str:
    lines = [
        [
            row["claim"],
            " against ".join(", ".join(map(percent, seeds)) for seeds in row["wers"]),
            " against ".join(map(percent, row["wer"])),
            "{:+.1%} to {:+.1%}".format(*row["interval"]),
            verdict(row),
            _ANSWERS.get(row["verdict"], "not shown"),
        ]
        for row in sorted(rows, key=lambda row: row["claim"])
    ]
    headings = ["claim", "dev WER by seed", "means", "change, 95% interval", "the first is", "so"]
    return table(headings, lines)
