"""Is a compressed recogniser worse than its baseline? The matched-pairs test, and its verdict.

With Z_i = errors of A - errors of B in segment i of n,

    Z = mean(Z_i) / (sd(Z_i) / sqrt(n))        p = 2 * (1 - Phi(|Z|))        sd with n - 1

(MAPSSWE: Gillick & Cox, ICASSP 1989). `segments`, `mean`, `sd` and `z` are what NIST's sc_stats
computes; it puts Z = 0 where all Z_i are equal, even where one system errs in every segment.

There, and below 30 segments, an exact sign test decides: of the segments that one system got worse
than the other, are they shared out as a fair coin might? It can find a difference, but it never
shows that nothing was lost.

| significant | errors of B     | test    | loss it could detect | verdict      |
|-------------|-----------------|---------|----------------------|--------------|
| yes         | more            | either  |                      | worse        |
| yes         | fewer           | either  |                      | better       |
| no          |                 | MAPSSWE | 10% or less          | lossless     |
| no          |                 | MAPSSWE | above 10%            | inconclusive |
| no          |                 | sign    |                      | inconclusive |

Where A errs as often as there are words it recognises nothing, and has nothing to lose: no loss
that is not significant is called lossless then.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from sottovoce.errors import InputError
from sottovoce.scoring.comparison import (
    FEWEST_SEGMENTS,
    MAPSSWE,
    SIGN_TEST,
    MatchedPairs,
    two_sided,
)
from sottovoce.scoring.segments import segment_errors
from sottovoce.scoring.wer import Score

POWER = 0.80
Differences = NDArray[np.int64]
"""A's errors minus B's, of each segment."""


def matched_pairs(
    score_a: Score,
    score_b: Score,
    alpha: float = 0.05,
    detectable: float = 0.10,
    power: float = POWER,
) -> MatchedPairs:
    """Compare candidate B with baseline A.

    Args:
        alpha: two-sided level of significance.
        detectable: largest loss, relative to A's errors, that may go unfound under "lossless".
        power: probability with which a loss must be found to count as detectable.

    Raises:
        InputError: the two were not scored on the same utterances with the same references.
    """
    differences = _differences(score_a, score_b)
    mean, sd, z = _statistics(differences)
    test = SIGN_TEST if len(differences) < FEWEST_SEGMENTS or sd == 0 else MAPSSWE
    p = two_sided(z) if test == MAPSSWE else _sign_test(differences)
    deviation = _deviation(sd, len(differences), score_a.errors)
    detectable_loss = None if deviation is None else deviations_away(alpha, power) * deviation
    return MatchedPairs(
        test=test,
        segments=len(differences),
        mean=mean,
        sd=sd,
        z=z,
        p=p,
        errors_a=score_a.errors,
        errors_b=score_b.errors,
        interval=(
            None
            if deviation is None or test != MAPSSWE
            else _interval(-int(differences.sum()) / score_a.errors, deviation, alpha)
        ),
        level=1 - alpha,
        power=power,
        words=score_a.words,
        detectable=detectable_loss,
        tolerated=detectable,
        words_needed=(
            None
            if detectable_loss is None
            else _words_needed(score_a.words, len(differences), detectable_loss / detectable)
        ),
        verdict=_verdict(
            differences,
            test,
            significant=p < alpha,
            sensitive=(
                detectable_loss is not None
                and detectable_loss <= detectable
                and score_a.errors < score_a.words
            ),
        ),
    )


def _differences(score_a: Score, score_b: Score) -> Differences:
    name_a, name_b = score_a.hypothesis.name, score_b.hypothesis.name
    apart = score_a.alignments.keys() ^ score_b.alignments.keys()
    if apart:
        raise InputError(
            f"only one of {name_a} and {name_b} was scored on utterance {min(apart)!r}; score both "
            f"on the same utterances"
        )
    differences: list[int] = []
    for utterance, a in score_a.alignments.items():
        words_a, words_b = (
            score.reference.utterances[utterance][1] for score in (score_a, score_b)
        )
        if words_a != words_b:
            raise InputError(
                f"{name_a} and {name_b} were scored against different references of utterance "
                f"{utterance!r}; score both against the same"
            )
        segments = segment_errors(a, score_b.alignments[utterance])
        differences.extend(errors_a - errors_b for errors_a, errors_b in segments)
    return np.array(differences, dtype=np.int64)


def _statistics(differences: Differences) -> tuple[float, float, float]:
    """Mean, standard deviation and Z; all 0 without segments, Z = 0 where all are equal."""
    if len(differences) == 0:
        return 0.0, 0.0, 0.0
    mean = float(differences.mean())
    if differences.min() == differences.max():
        return mean, 0.0, 0.0
    sd = float(differences.std(ddof=1))
    return mean, sd, mean / (sd / math.sqrt(len(differences)))


def _sign_test(differences: Differences) -> float:
    """Two-sided binomial p of the split into positive and negative differences."""
    positive, negative = int((differences > 0).sum()), int((differences < 0).sum())
    tosses = positive + negative
    tail = sum(math.comb(tosses, heads) for heads in range(min(positive, negative) + 1))
    return min(1.0, 2 * tail / 2**tosses)


def _deviation(sd: float, segments: int, errors: int) -> float | None:
    """Standard deviation of the change relative to A's errors; None where it is not known."""
    return None if sd == 0 or errors == 0 else sd * math.sqrt(segments) / errors


def _interval(change: float, deviation: float, alpha: float) -> tuple[float, float]:
    half = -NormalDist().inv_cdf(alpha / 2) * deviation
    return change - half, change + half


def deviations_away(alpha: float, power: float = POWER) -> float:
    """From 0, in deviations of the mean, where a loss must lie to be found with that power."""
    normal = NormalDist()
    return normal.inv_cdf(power) - normal.inv_cdf(alpha / 2)  # 1 - alpha / 2 may round to 1


def _words_needed(words: int, segments: int, times_too_large: float) -> int:
    """The detectable loss falls with the root of the words; segments grow in step with them."""
    return math.ceil(words * max(times_too_large**2, FEWEST_SEGMENTS / segments))


def _verdict(differences: Differences, test: str, *, significant: bool, sensitive: bool) -> str:
    """Judge by the table above; inconclusive too where segments and errors go opposite ways."""
    fewer_errors = int(differences.sum())
    better_segments = int(np.sign(differences).sum())
    if significant and (test == MAPSSWE or fewer_errors * better_segments > 0):
        return "better" if fewer_errors > 0 else "worse"
    return "lossless" if test == MAPSSWE and sensitive else "inconclusive"
