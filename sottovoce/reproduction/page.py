"""A table of results as Markdown, HTML and JSON, the paper's numbers beside ours."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from sottovoce.files import write_text
from sottovoce.report import markdown, numbers
from sottovoce.report.charts.trade_off import Spot, trade_off
from sottovoce.report.document import document
from sottovoce.report.markup import tag
from sottovoce.report.page_tables import table as html_table
from sottovoce.report.verdict import MARKS
from sottovoce.reproduction.pair_tests import PairTest
from sottovoce.reproduction.results import ALL, Result
from sottovoce.reproduction.table import INPUT, Published, Table

_LEGEND = (
    f"{MARKS['lossless']} lossless against {{baseline}}: no significant increase (MAPSSWE, 5%), "
    f"and a 10% one would have been found; {MARKS['better']} significantly better; "
    f"{MARKS['worse']} significantly worse; {MARKS['inconclusive']} no significant increase, but "
    "too few words to tell. all: {combined}, weighted by their utterances. time: of training, "
    "{clock}, over {baseline}'s; a stage that rows share counts in each, what the cached teacher "
    "takes in none."
)
_LEGEND_OF_CLAIMS = (
    "Two rows are compared by the matched-pairs test (MAPSSWE, 5%), several runs of each by their "
    "mean errors, paired by utterance: p is about the utterances, and what the seeds leave of the "
    "luck of a run it does not know. change: of the errors, a 95% interval. time: of training, as "
    "above, the first over the second."
)
_CLAIM_HEADINGS = (*("claim", "rows", "!bits", "!WER", "!change", "the first is", "so", "!time"),)
_LEGEND_OF_PAPERS = " What the paper printed is left out where it measured on other sets."


@dataclass(frozen=True)
class TableState:
    """All that is known of a table so far.

    Attributes:
        tests: the sets that were measured on; `combined` are those in `ALL`.
        failures: row -> why it has no result.
        claims: the table's pairs, as far as they are tested.
    """

    table: Table
    results: Sequence[Result]
    tests: Sequence[str]
    combined: Sequence[str]
    failures: Mapping[str, str]
    claims: Sequence[PairTest] = ()

    @property
    def baseline(self) -> Result | None:
        return next((result for result in self.results if result.name == self.table.baseline), None)

    @property
    def tells_cpu_time(self) -> bool:
        """True where the CPU time of every trained row is known; other load on the machine does not
        count then."""
        return all(result.cpu_seconds is not None for result in self.results if result.seconds)

    def time_of(self, result: Result) -> float:
        """Seconds of training, by the one clock of the table; 0 where nothing was trained."""
        return (result.cpu_seconds or 0.0) if self.tells_cpu_time else result.seconds

    @property
    def tells_papers(self) -> bool:
        """True where a paper printed any of it."""
        papers = (self.table.start, *(row.paper for row in self.table.rows))
        return any(paper != Published() for paper in papers)

    @property
    def tells_processors(self) -> bool:
        return any(result.processor for result in self.results)

    @property
    def tells_changes(self) -> bool:
        return any(row.paper.change is not None for row in self.table.rows)

    @property
    def changed_on(self) -> str:
        """The set that changes are told on: the paper's first that is given, else the first."""
        return next((test for test in self.table.tests if test in self.tests), self.tests[0])


def write_pages(measured: TableState, folder: Path) -> None:
    """Write `table.json`, `table.md` and `table.html`."""
    record = json.dumps(record_of(measured), indent=1, ensure_ascii=False)
    write_text(folder / "table.json", record)
    write_text(folder / "table.md", markdown_page(measured))
    write_text(folder / "table.html", _html_page(measured))


def record_of(measured: TableState) -> dict[str, Any]:
    """Return the content of `table.json`."""
    return {
        "title": measured.table.title,
        "paper": measured.table.paper,
        "combined": list(measured.combined),
        "rows": [result.to_json() for result in measured.results],
        "pairs": [claim.to_json() for claim in measured.claims],
        "failures": dict(measured.failures),
    }


def read_record(record: Mapping[str, Any], table: Table) -> TableState:
    """Read the content of `table.json`, of this version or an older one, beside its table."""
    results = [Result.from_json(row) for row in record["rows"]]
    tests = [test for test in results[0].wer if test != ALL] if results else []
    order = {pair: place for place, pair in enumerate(table.pairs)}
    claims = [PairTest.from_json(claim) for claim in record.get("pairs", ())]
    claims.sort(key=lambda claim: order.get(claim.pair, len(order)))
    return TableState(table, results, tests, record["combined"], record["failures"], claims)


def markdown_page(measured: TableState) -> str:
    """`table.md`: the rows, what is claimed of them, and the commands that made them."""
    table = measured.table
    commands = "\n".join(result.command for result in measured.results if result.command)
    parts = [
        f"# {markdown.text(table.title)}",
        markdown.text(table.paper),
        markdown.table(_headings(measured), _lines(measured)),
        *map(markdown.text, _explained(measured)),
    ]
    if measured.claims:
        parts += [
            "## Claims",
            markdown.text(_LEGEND_OF_CLAIMS),
            markdown.table(_CLAIM_HEADINGS, _claim_lines(measured)),
        ]
    parts += ["## Commands", markdown.fenced(commands, "bash")]
    return "\n\n".join(part for part in parts if part) + "\n"


def _html_page(measured: TableState) -> str:
    table, results = measured.table, measured.results
    floats = {INPUT} | {row.name for row in table.rows if row.method == "finetune"}
    spots = [
        Spot(result.name, result.bytes, result.wer[ALL], result.name in floats)
        for result in results
    ]
    claims = (
        tag(
            "section",
            tag("h2", "Claims"),
            html_table(_CLAIM_HEADINGS, _claim_lines(measured)),
            tag("p", _LEGEND_OF_CLAIMS, class_="lead"),
        )
        if measured.claims
        else None
    )
    commands = "\n".join(result.command for result in results if result.command)
    return document(
        table.title,
        tag("p", table.paper, class_="byline"),
        (
            tag("section", tag("h2", "Word error rate against size"), trade_off(spots)),
            tag(
                "section",
                tag("h2", "Rows"),
                html_table(_headings(measured), _lines(measured)),
                *(tag("p", sentence, class_="lead") for sentence in _explained(measured)),
            ),
            claims,
            tag("section", tag("h2", "Commands"), tag("pre", tag("code", commands))),
        ),
        None,
    )


def _explained(measured: TableState) -> tuple[str, ...]:
    """The meaning of marks and columns, then the rows that failed."""
    legend = _LEGEND.format(
        baseline=measured.table.baseline,
        combined=" and ".join(measured.combined),
        clock="in CPU time" if measured.tells_cpu_time else "by the clock on the wall",
    ) + (_LEGEND_OF_PAPERS if measured.tells_papers else "")
    return (legend, *(f"Row {row} failed: {why}" for row, why in measured.failures.items()))


def _claim_lines(measured: TableState) -> list[tuple[str, ...]]:
    results = {result.name: result for result in measured.results}
    return [
        (
            claim.claim,
            f"{', '.join(claim.candidate)} against {', '.join(claim.baseline)}",
            numbers.bits(results[claim.candidate[0]].bits),
            " against ".join(map(_rates, claim.wer)),
            _change(claim),
            verdict_text(claim),
            claim.outcome,
            _time_ratio(measured, claim),
        )
        for claim in measured.claims
    ]


def _rates(runs: Sequence[float]) -> str:
    """Error rates of each run, and their mean."""
    mean = f" (mean {numbers.percent(fmean(runs))})" if len(runs) > 1 else ""
    return ", ".join(map(numbers.percent, runs)) + mean


def _change(test: PairTest) -> str:
    return "" if test.interval is None else "{:+.1%} to {:+.1%}".format(*test.interval)


def verdict_text(test: PairTest) -> str:
    """The verdict, and what it rests on."""
    chance = "< 0.01" if test.p < 0.01 else f"= {test.p:.2f}"
    power = "" if test.detectable is None else f", would have found {test.detectable:.1%}"
    return f"{test.verdict} (p {chance}{power})"


def _time_ratio(measured: TableState, test: PairTest) -> str:
    """Training time of the first candidate over that of the first baseline."""
    results = {result.name: result for result in measured.results}
    first, second = (
        measured.time_of(results[names[0]]) for names in (test.candidate, test.baseline)
    )
    return f"{first / second:.2f}" if first and second else ""


def _headings(measured: TableState) -> tuple[str, ...]:
    change = f"change on {measured.changed_on}"
    marked = (f"!{change}", f"!paper: {change}") if measured.tells_changes else None
    changes, papers = (marked[:1], marked[1:]) if marked else ((), ())
    ours = (
        *("row", "system", "!bits", "!effective", "!size", "!ratio"),
        *(f"!{test}" for test in measured.tests),
        *("!all", *changes, "!time"),
        *(("processor",) if measured.tells_processors else ()),
    )
    if not measured.tells_papers:
        return ours
    sets = f"paper: {' '.join(measured.table.tests)}"
    return (*ours, sets, "!paper: all", *papers, "!paper: ratio", "!paper: time")


def _lines(measured: TableState) -> list[tuple[str, ...]]:
    by_name = {result.name: result for result in measured.results}
    lines = []
    if INPUT in by_name:
        ours, papers = _ours(measured, by_name[INPUT]), _papers(measured, measured.table.start)
        lines.append(("", "checkpoint as given", *ours, *papers))
    for row in measured.table.rows:
        if row.name in by_name or row.method == "published":
            ours, papers = _ours(measured, by_name.get(row.name)), _papers(measured, row.paper)
            lines.append((row.name, row.system, *ours, *papers))
    return lines


def _ours(measured: TableState, result: Result | None) -> tuple[str, ...]:
    if result is None:
        return ("",) * (
            6 + len(measured.tests) + measured.tells_changes + measured.tells_processors
        )
    baseline, on = measured.baseline, measured.changed_on
    change = f"{100 * (result.wer[on] - baseline.wer[on]):+.2f}" if baseline else ""
    time = measured.time_of(result)
    return (
        numbers.bits(result.bits),
        numbers.bits(result.effective_bits),
        numbers.size(result.bytes),
        numbers.ratio(result.ratio),
        *(
            f"{numbers.percent(result.wer[test])}{MARKS.get(result.verdicts.get(test, ''), '')}"
            for test in (*measured.tests, ALL)
        ),
        *((change,) if measured.tells_changes else ()),
        numbers.ratio(time / measured.time_of(baseline)) if baseline and time else "",
        *((_processor(result),) if measured.tells_processors else ()),
    )


def _processor(result: Result) -> str:
    return "" if result.name == INPUT else result.processor or "not recorded"


def _papers(measured: TableState, paper: Published) -> tuple[str, ...]:
    table = measured.table
    if not measured.tells_papers:
        return ()
    over_all = "" if paper.all is None else f"{paper.all:.2f}%{MARKS.get(paper.mark or '', '')}"
    comparable = paper.change is not None and measured.changed_on in table.tests
    change = f"{paper.change:+.2f}" if comparable else ""
    return (
        " ".join(f"{rate:.2f}" for rate in paper.wer),
        over_all if set(measured.combined) == set(table.combined) else "",
        *((change,) if measured.tells_changes else ()),
        "" if paper.ratio is None else numbers.ratio(paper.ratio),
        _time(table, paper),
    )


def _time(table: Table, paper: Published) -> str:
    """Over the baseline's where the paper gives that, else in hours."""
    if paper.hours is None:
        return ""
    baseline = next(row.paper.hours for row in table.rows if row.name == table.baseline)
    return numbers.ratio(paper.hours / baseline) if baseline else f"{paper.hours:g} h"
