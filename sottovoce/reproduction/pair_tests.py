"""A table's pairs, tested: one run against another, or the means over the runs of two recipes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from sottovoce.reproduction.pairs import Expected, Pair
from sottovoce.scoring import Score, matched_pairs
from sottovoce.scoring.comparison import FEWEST_SEGMENTS, two_sided
from sottovoce.scoring.mapsswe import deviations_away

ALPHA = 0.05
TOLERATED = 0.10
Outcome = Literal["won", "lost", "not shown"]


@dataclass(frozen=True, kw_only=True)
class PairTest:
    """A claim, tested.

    Attributes:
        candidate, baseline: names of rows; of several, the mean errors are compared.
        wer: of each run over the pooled test sets, candidate's and baseline's; fractions.
        verdict: of the candidate: "better", "worse", "lossless" or "inconclusive".
        p: two-sided. Over several runs it is about the utterances: the seeds even out some of the
            luck of a run, and what is left of it p does not know.
        detectable: smallest loss that would have been found in four of five cases, as a fraction
            of the baseline's errors; None where that is not known.
        interval: of the change of the errors, a fraction of the baseline's, at 95%; None where it
            is not known.
    """

    claim: str
    expected: Expected
    candidate: tuple[str, ...]
    baseline: tuple[str, ...]
    wer: tuple[tuple[float, ...], tuple[float, ...]]
    verdict: str
    p: float
    detectable: float | None
    interval: tuple[float, float] | None

    @property
    def pair(self) -> Pair:
        """The claim."""
        return Pair(
            claim=self.claim,
            expected=self.expected,
            candidate=self.candidate,
            baseline=self.baseline,
        )

    @property
    def outcome(self) -> Outcome:
        """Outcome of the claim: significance decides what is won or lost, nothing else."""
        if self.verdict == "worse":
            return "lost"
        shown = {"better": ("better",), "no_worse": ("better", "lossless")}[self.expected]
        return "won" if self.verdict in shown else "not shown"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "PairTest":
        """Read what `to_json` gave, or JSON made of it."""
        first, second = record["wer"]
        return cls(
            **{
                **record,
                "candidate": tuple(record["candidate"]),
                "baseline": tuple(record["baseline"]),
                "wer": (tuple(first), tuple(second)),
                "interval": record["interval"] and tuple(record["interval"]),
            }
        )


def compare_pair(pair: Pair, scores: Mapping[str, Score]) -> PairTest:
    """Test the candidate of a pair against its baseline.

    Two runs are compared by the matched-pairs test (MAPSSWE), recipes of several runs each by
    `compare_means`.

    Args:
        scores: name of a row -> its score on the table's combined test sets.
    """
    candidates, baselines = (
        [scores[name] for name in names] for names in (pair.candidate, pair.baseline)
    )
    if len(candidates) == len(baselines) == 1:
        test = matched_pairs(baselines[0], candidates[0], ALPHA, TOLERATED)
        comparison = Comparison(test.verdict, test.p, test.detectable, test.interval)
    else:
        comparison = compare_means(candidates, baselines)
    return PairTest(
        claim=pair.claim,
        expected=pair.expected,
        candidate=pair.candidate,
        baseline=pair.baseline,
        wer=(tuple(run.wer for run in candidates), tuple(run.wer for run in baselines)),
        **asdict(comparison),
    )


@dataclass(frozen=True)
class Comparison:
    """The figures of a test, as `PairTest` explains them."""

    verdict: str
    p: float
    detectable: float | None
    interval: tuple[float, float] | None


def compare_means(candidates: Sequence[Score], baselines: Sequence[Score]) -> Comparison:
    """The candidates' mean errors against the baselines', paired by utterance.

    With D_u the mean errors of the candidates minus those of the baselines in utterance u of n,
    the change of all errors has the deviation sd(D) * sqrt(n), as in the matched-pairs test. With
    fewer than 30 utterances, or where all D_u are equal, nothing is decided.
    """
    utterances = list(baselines[0].alignments)
    candidate, baseline = (
        np.mean([[run.alignments[u].errors for u in utterances] for run in runs], axis=0)
        for runs in (candidates, baselines)
    )
    differences = candidate - baseline
    change, errors = float(differences.sum()), float(baseline.sum())
    if len(differences) < FEWEST_SEGMENTS or errors == 0 or np.ptp(differences) == 0:
        return Comparison("inconclusive", 1.0, None, None)
    deviation = float(differences.std(ddof=1)) * math.sqrt(len(differences))
    p, detectable = two_sided(change / deviation), deviations_away(ALPHA) * deviation / errors
    half = NormalDist().inv_cdf(1 - ALPHA / 2) * deviation
    interval = ((change - half) / errors, (change + half) / errors)
    if p < ALPHA:
        return Comparison("worse" if change > 0 else "better", p, detectable, interval)
    sensitive = detectable <= TOLERATED and errors < baselines[0].words
    return Comparison("lossless" if sensitive else "inconclusive", p, detectable, interval)
