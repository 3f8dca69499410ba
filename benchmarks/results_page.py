"""Writes benchmarks/RESULTS.md and the pages in benchmarks/results/ from the rows there.

python -m benchmarks --pages
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from benchmarks import chart
from benchmarks.cells import table
from benchmarks.kept_tables import KeptTable
from benchmarks.low_bits.run import TABLES as LOW_BITS
from benchmarks.papers.run import TABLES as PAPERS
from benchmarks.questions import QUESTIONS, Question
from benchmarks.rows import RESULTS, read_rows
from benchmarks.three_bits.run import TABLES as THREE_BITS
from sottovoce.files import write_text
from sottovoce.reproduction.pair_tests import Outcome

PAGE = Path(__file__).parent / "RESULTS.md"
KEPT = (*THREE_BITS, *LOW_BITS, *PAPERS)
_HEADING = """# Results

Written by `python -m benchmarks --pages` from the rows in `benchmarks/results/`; `make bench`
measures what is missing. The speech is real and the models are small: 2.5 to 2.9 million
parameters, trained on a two-core machine without an accelerator. The utterances of `commands` are
joined from one-second recordings of single words of a vocabulary of 40 (Arabic Speech Commands, CC
BY 4.0), with 6 unseen speakers in the dev set; **error rates say nothing about running speech**.
The dev speakers also helped to choose some options, so verdicts are for development.

Words: *lossless*: no significant increase (MAPSSWE, 5%), and one of 10% would have been found in
four of five cases; *inconclusive*: no significant increase, but too few words to say so. xu2025 is
arXiv 2501.03643 ("the paper's joint"), rybakov2023 arXiv 2305.16619.
"""
_CHART = f"![Dev WER against size]({RESULTS.name}/{chart.FILE.name})\n"
_CLAIMS = """## Claims

One row a claim, with the number of tested pairs of rows that show it (*won*), that show the
reverse (*lost*), or that show neither. "loses nothing" is won where a verdict is *lossless* or
*better*. A test of two runs does not know the luck of a run, which moves these error rates by half
a point: what rests on one pair is of those two runs. Every pair with its error rates, interval and
p is on the table's page. Claims over the means of several seeds are tested once for each choice of
seeds: seeds 3 to 5 were asked for, before they ran, because the first three had left p = 0.07
between ours and the paper's joint; a test of all six has looked twice, one of the second three
alone has not. So were the second and third seed at 2.5 bits.
"""


def write_pages() -> None:
    """Write RESULTS.md, its chart, a page a question, and a page a table that was run."""
    for question in QUESTIONS:
        write_text(RESULTS / f"{question.name}.md", question_page(question))
    for kept in KEPT:
        if page := kept.page():
            write_text(RESULTS / f"{kept.name}.md", page)
    write_text(chart.FILE, chart.chart())
    write_text(PAGE, results_page())


def results_page() -> str:
    """RESULTS.md."""
    contents = [
        f"- [{question.text}]({RESULTS.name}/{question.name}.md) {_capital(question.answer())}"
        for question in QUESTIONS
    ]
    return "\n".join(
        (_HEADING, "## In short\n", _CHART, *contents, "", _CLAIMS, claims_table(KEPT), "")
    )


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def question_page(question: Question) -> str:
    """A question's rows, and what measured them."""
    rows = read_rows(question.rows)
    told = f"\n\n{processors_of(rows)}" if rows else ""
    return f"{question.page()}{told}\n\n[All results](../RESULTS.md)\n"


def processors_of(rows: list[dict[str, object]]) -> str:
    """The processors that rows ran on."""
    names = Counter(_processor(row) for row in rows)
    told = "; ".join(f"{name} ({count})" for name, count in names.items())
    return f"Processor, with its rows: {told}."


def _processor(row: dict[str, object]) -> str:
    machine = row.get("machine")
    of_machine = machine.get("processor") if isinstance(machine, dict) else None
    return str(row.get("processor") or of_machine or "not recorded")


def claims_table(tables: Sequence[KeptTable]) -> str:
    """One row a claim, over all tables that test it."""
    claims = dict.fromkeys(pair.claim for kept in tables for pair in kept.table.pairs)
    headings = ["claim", "won", "lost", "not shown", "pairs", "start points", "tables"]
    return table(headings, [line for claim in claims if (line := _line(claim, tables))])


def _line(claim: str, tables: Sequence[KeptTable]) -> list[str]:
    """Nothing where no pair of the claim is tested."""
    tests = {kept: [one for one in kept.tests if one.claim == claim] for kept in tables}
    tested = [kept for kept, found in tests.items() if found]
    if not tested:
        return []
    counts = Counter(one.outcome for found in tests.values() for one in found)
    starts = dict.fromkeys(kept.start.removeprefix("commands-") for kept in tested)
    return [
        claim,
        *(str(counts[outcome] or "") for outcome in get_args(Outcome)),
        str(counts.total()),
        ", ".join(starts),
        ", ".join(f"[{kept.name}]({RESULTS.name}/{kept.name}.md)" for kept in tested),
    ]
