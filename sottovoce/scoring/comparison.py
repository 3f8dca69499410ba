"""The outcome of a matched-pairs test: its figures, its verdict and the sentence that says it."""

import math
from dataclasses import dataclass

from sottovoce.wording import plural

MAPSSWE = "MAPSSWE"
SIGN_TEST = "exact sign test"
FEWEST_SEGMENTS = 30
"""Below it the normal distribution is no guide, and the sign test decides."""


@dataclass(frozen=True)
class MatchedPairs:
    """Candidate B against baseline A on the same utterances.

    Attributes:
        test: the test that decides: "MAPSSWE" or "exact sign test".
        segments: how many segments hold an error of either system.
        mean, sd: of A's errors minus B's in a segment; both 0 where there are no segments.
        z: MAPSSWE's statistic, as sc_stats computes it; above 0 where B errs less.
        p: two-sided, of the deciding test.
        interval: of the change from A's errors to B's, as a fraction of A's, at confidence
            `level`; None where `detectable` is, or the sign test decides.
        words: reference words.
        detectable: smallest loss that MAPSSWE would find with probability `power` at this variance,
            as a fraction of A's errors; None where A makes no error or all segments differ alike.
        tolerated: largest loss, as `detectable`, that may go unfound under "lossless".
        words_needed: reference words of such speech that would bring `detectable` down to
            `tolerated` and the segments up to 30; None where `detectable` is.
        verdict: "better", "worse", "lossless" or "inconclusive".
    """

    test: str
    segments: int
    mean: float
    sd: float
    z: float
    p: float
    errors_a: int
    errors_b: int
    interval: tuple[float, float] | None
    level: float
    power: float
    words: int
    detectable: float | None
    tolerated: float
    words_needed: int | None
    verdict: str

    @property
    def mapsswe_p(self) -> float:
        """MAPSSWE's p, whichever test decides."""
        return two_sided(self.z)

    @property
    def sctk_p(self) -> float:
        """MAPSSWE's p as sc_stats prints it, a little higher than `mapsswe_p`.

        sc_stats looks Z up in a table of two decimals and takes the entry below.
        """
        return two_sided(math.floor(abs(self.z) * 100 + 1e-9) / 100)

    @property
    def sentence(self) -> str:
        """The verdict, and the figures that led to it, for a person to read."""
        if self.segments == 0:
            return (
                f"Inconclusive: neither system errs in {plural(self.words, 'word')}, so there is "
                f"nothing to test."
            )
        figures = (
            f"{plural(self.errors_b, 'error')} against {self.errors_a:,} ({_p(self.p)}, "
            f"{self.test} over {plural(self.segments, 'segment')})"
        )
        if self.verdict == "lossless":
            return (
                f"No loss shown: {figures}; a loss of {self.detectable:.1%} would have been "
                f"detected {100 * self.power:.4g}% of the time{self._range()}."
            )
        if self.verdict == "inconclusive":
            return f"Inconclusive: {figures}; {self._what_is_lacking()}{self._range()}."
        return f"{self.verdict.capitalize()}: {figures}{self._change()}{self._range()}."

    def _range(self) -> str:
        if self.interval is None:
            return ""
        low, high = self.interval
        level = f"{100 * self.level:.6g}% interval"
        return f"; the change lies between {low:+.1%} and {high:+.1%} ({level})"

    def _what_is_lacking(self) -> str:
        if self.errors_a == 0:
            return "the baseline makes no error, so no relative loss can be told"
        if self.errors_a >= self.words:
            return (
                f"the baseline errs as often as there are words ({self.words:,}), so it has "
                "nothing to lose"
            )
        if self.detectable is None or self.words_needed is None:
            alike = "the segments all differ alike" if self.mean else "no segment differs"
            return f"{alike}, so what loss the test could detect is unknown"
        enough = f"about {rounded_up(self.words_needed):,} words of such speech"
        have = f"(these are {self.words:,})"
        if self.segments < FEWEST_SEGMENTS and self.detectable <= self.tolerated:
            return f"{FEWEST_SEGMENTS} segments are the fewest to tell by, it takes {enough} {have}"
        return (
            f"a loss below {self.detectable:.1%} would not have been detected, detecting "
            f"{self.tolerated:.1%} takes {enough} {have}"
        )

    def _change(self) -> str:
        if self.errors_a == 0:
            return ""
        change = self.errors_b / self.errors_a - 1
        return f", {abs(change):.1%} {'more' if change > 0 else 'fewer'}"


def two_sided(z: float) -> float:
    """Probability that a standard normal variable lies as far from 0 as `z`, on either side."""
    return math.erfc(abs(z) / math.sqrt(2))


def _p(p: float) -> str:
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def rounded_up(number: int) -> int:
    """To two significant digits."""
    unit = 10 ** max(0, len(str(number)) - 2)
    return math.ceil(number / unit) * unit
