"""A table of results as Markdown, HTML and JSON, the paper's numbers beside ours."""

import json
from collections.abc import Sequence
from pathlib import Path

from sottovoce.files import write_text
from sottovoce.report import markdown, numbers
from sottovoce.report.charts.trade_off import Spot, trade_off
from sottovoce.report.document import document
from sottovoce.report.markup import tag
from sottovoce.report.page_tables import table as html_table
from sottovoce.report.verdict import MARKS
from sottovoce.reproduction.results import ALL, INPUT, Result
from sottovoce.reproduction.table import Table, TableRow

_LEGEND = (
    f"{MARKS['lossless']} lossless against {{baseline}}: no significant increase (MAPSSWE, 5%), "
    f"and a 10% one would have been found; {MARKS['better']} significantly better; "
    f"{MARKS['worse']} significantly worse; {MARKS['inconclusive']} no significant increase, but "
    "too few words to tell. all: the sets' rates weighted by their utterances. time: of training, "
    "over {baseline}'s; a stage that rows share counts in each. Right of `paper`: what it printed."
)


def write_pages(
    table: Table, results: Sequence[Result], tests: Sequence[str], folder: Path
) -> None:
    """Write `table.json`, `table.md` and `table.html`."""
    record = {"title": table.title, "paper": table.paper, "rows": [r.to_json() for r in results]}
    write_text(folder / "table.json", json.dumps(record, indent=1, ensure_ascii=False))
    headings, lines = _headings(table, tests), _lines(table, results, tests)
    legend = _LEGEND.format(baseline=table.baseline)
    commands = [one.command for one in results if one.command]
    write_text(
        folder / "table.md",
        f"# {markdown.text(table.title)}\n\n{markdown.text(table.paper)}\n\n"
        f"{markdown.table(headings, lines)}\n\n{markdown.text(legend)}\n\n"
        f"{markdown.fenced(chr(10).join(commands), 'bash')}\n",
    )
    spots = [Spot(one.name, one.bytes, one.wer[ALL], one.bits >= 32) for one in results]
    page = document(
        table.title,
        tag("p", table.paper, class_="byline"),
        (
            tag("section", tag("h2", "Word error rate against size"), trade_off(spots)),
            tag(
                "section",
                tag("h2", "Rows"),
                html_table(headings, lines),
                tag("p", legend, class_="legend"),
            ),
            tag("section", tag("h2", "Commands"), tag("pre", tag("code", "\n".join(commands)))),
        ),
        None,
    )
    write_text(folder / "table.html", page)


def _headings(table: Table, tests: Sequence[str]) -> tuple[str, ...]:
    changes = ("!change",) if _tells_changes(table) else ()
    return (
        *("row", "system", "!bits", "!effective", "!size", "!ratio", *(f"!{one}" for one in tests)),
        *("!all", *changes, "!time", "paper", "!all", *changes, "!ratio", "!time"),
    )


def _lines(table: Table, results: Sequence[Result], tests: Sequence[str]) -> list[tuple[str, ...]]:
    by_name = {one.name: one for one in results}
    baseline = by_name.get(table.baseline)
    lines = []
    if INPUT in by_name:
        lines.append(_line(table, None, by_name[INPUT], baseline, tests))
    shown = [row for row in table.rows if row.name in by_name or row.method == "published"]
    lines += [_line(table, row, by_name.get(row.name), baseline, tests) for row in shown]
    return lines


def _line(
    table: Table,
    row: TableRow | None,
    result: Result | None,
    baseline: Result | None,
    tests: Sequence[str],
) -> tuple[str, ...]:
    name, system = (row.name, row.system) if row else ("", "checkpoint as given")
    return (name, system, *_ours(table, result, baseline, tests), *_papers(table, row))


def _ours(
    table: Table, result: Result | None, baseline: Result | None, tests: Sequence[str]
) -> tuple[str, ...]:
    changes = _tells_changes(table)
    if result is None:
        return ("",) * (6 + len(tests) + changes)
    first = tests[0]
    change = result.wer[first] - baseline.wer[first] if baseline else None
    share = result.seconds / baseline.seconds if baseline and result.seconds else None
    return (
        numbers.bits(result.bits),
        numbers.bits(result.effective_bits),
        numbers.size(result.bytes),
        numbers.ratio(result.ratio),
        *(
            f"{numbers.percent(result.wer[one])}{MARKS.get(result.verdicts.get(one, ''), '')}"
            for one in (*tests, ALL)
        ),
        *(("" if change is None else f"{100 * change:+.2f}",) if changes else ()),
        "" if share is None else numbers.ratio(share),
    )


def _papers(table: Table, row: TableRow | None) -> tuple[str, ...]:
    changes = _tells_changes(table)
    if row is None:
        return ("",) * (4 + changes)
    paper = row.paper
    hours = next((one.paper.hours for one in table.rows if one.name == table.baseline), None)
    over_all = "" if paper.all is None else f"{paper.all:.2f}%{MARKS.get(paper.mark or '', '')}"
    return (
        " ".join(f"{rate:.2f}" for rate in paper.wer),
        over_all,
        *(("" if paper.change is None else f"{paper.change:+.2f}",) if changes else ()),
        "" if paper.ratio is None else numbers.ratio(paper.ratio),
        "" if not hours or paper.hours is None else numbers.ratio(paper.hours / hours),
    )


def _tells_changes(table: Table) -> bool:
    return any(row.paper.change is not None for row in table.rows)
