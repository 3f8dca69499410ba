"""Segments, the two tests, and what is made of them."""

import math

import pytest

from sottovoce.errors import InputError
from sottovoce.scoring import MatchedPairs, Score, Transcripts, align, matched_pairs, score
from sottovoce.scoring.segments import segment_errors


@pytest.mark.parametrize(
    ("reference", "a", "b", "segments"),
    [
        ("a b c d e f g", "a x c e f g", "a b x d e f g h", [(2, 1), (0, 1)]),
        ("a b c d", "a b c d", "a b c d", []),
        ("a b c d", "x b c y", "a b c d", [(1, 0), (1, 0)]),
        ("a b c d", "x b y d", "a b c d", [(2, 0)]),
        ("a b c d", "x b q c d", "a b c d", [(2, 0)]),
        ("a b c d", "x b c q d", "a b c d", [(1, 0), (1, 0)]),
        ("a b", "q a b", "a b r", [(1, 0), (0, 1)]),
        ("a b", "", "a b c d", [(2, 2)]),
        ("", "a b", "", [(2, 0)]),
        ("", "", "", []),
    ],
)
def test_segments(reference: str, a: str, b: str, segments: list[tuple[int, int]]) -> None:
    alignments = (align(reference.split(), words.split()) for words in (a, b))
    assert segment_errors(*alignments) == segments


def scored(name: str, errors: list[int]) -> Score:
    """One segment an utterance: of six words each, the first so many are wrong."""
    words = tuple("abcdef")
    reference = {f"u{index}": ("", words) for index in range(len(errors))}
    hypothesis = {
        f"u{index}": ("", ("x",) * wrong + words[wrong:]) for index, wrong in enumerate(errors)
    }
    return score(Transcripts("reference", reference), Transcripts(name, hypothesis))


def compared(errors_a: list[int], errors_b: list[int], **asked: float) -> MatchedPairs:
    return matched_pairs(scored("A", errors_a), scored("B", errors_b), **asked)


def test_the_statistic() -> None:
    found = compared([2, 1, 0, 3] * 10, [1, 1, 1, 1] * 10)
    assert (found.test, found.segments) == ("MAPSSWE", 40)
    assert (found.errors_a, found.errors_b, found.words) == (60, 40, 240)
    sd = math.sqrt((10 * (0.5**2 + 0.5**2 + 1.5**2 + 1.5**2)) / 39)
    assert found.mean == pytest.approx(0.5)
    assert found.sd == pytest.approx(sd)
    assert found.z == pytest.approx(0.5 / (sd / math.sqrt(40)))
    assert found.p == found.mapsswe_p == pytest.approx(math.erfc(found.z / math.sqrt(2)))
    assert found.detectable == pytest.approx(
        (1.959964 + 0.841621) * sd * math.sqrt(40) / 60, rel=1e-6
    )
    assert found.words_needed == math.ceil(240 * (found.detectable / 0.1) ** 2)


def test_better_and_worse_are_about_b() -> None:
    good, bad = [1, 1, 0, 1] * 20, [1, 2, 1, 1] * 20
    worse, better = compared(good, bad), compared(bad, good)
    assert worse.verdict == "worse"
    assert worse.sentence == (
        "Worse: 100 errors against 60 (p < 0.001, MAPSSWE over 80 segments), 66.7% more; the "
        "change lies between +52.0% and +81.4% (95% interval)."
    )
    assert better.verdict == "better"
    assert better.sentence == (
        "Better: 60 errors against 100 (p < 0.001, MAPSSWE over 80 segments), 40.0% fewer; "
        "the change lies between -48.8% and -31.2% (95% interval)."
    )
    assert worse.z == -better.z < 0


def test_lossless_where_ten_percent_would_have_been_found() -> None:
    found = compared([4] * 100, [4] * 90 + [3, 5] * 5)
    assert found.verdict == "lossless"
    assert found.detectable == pytest.approx(0.0223, abs=1e-4)
    assert found.sentence == (
        "No loss shown: 400 errors against 400 (p = 1.00, MAPSSWE over 100 segments); "
        "a loss of 2.2% would have been detected 80% of the time; the change lies between -1.6% "
        "and +1.6% (95% interval)."
    )


def test_the_interval_of_the_change_and_the_loss_that_would_be_found() -> None:
    before, after = [2, 1, 1, 3] * 25, [2, 2, 1, 2] * 20 + [3, 1, 1, 3] * 5
    found = compared(before, after)
    assert found.interval is not None
    low, high = found.interval
    change = found.errors_b / found.errors_a - 1
    assert (low + high) / 2 == pytest.approx(change)
    half = 1.959964 * found.sd * math.sqrt(found.segments) / found.errors_a
    assert (high - low) / 2 == pytest.approx(half, rel=1e-6)
    assert (low > 0 or high < 0) == (found.p < 0.05)
    surer = compared(before, after, alpha=0.01, power=0.9)
    assert surer.interval is not None
    assert surer.interval[1] - surer.interval[0] == pytest.approx(
        (high - low) * 2.575829 / 1.959964
    )
    assert surer.detectable is not None
    assert found.detectable is not None
    ratio = (2.575829 + 1.281552) / (1.959964 + 0.841621)
    assert surer.detectable / found.detectable == pytest.approx(ratio, rel=1e-5)
    assert "(99% interval)" in surer.sentence


def test_inconclusive_where_it_would_not() -> None:
    found = compared([1, 1, 1, 2] * 10, [1, 2, 1, 1] * 10)
    assert (found.verdict, found.test) == ("inconclusive", "MAPSSWE")
    assert found.sentence == (
        "Inconclusive: 50 errors against 50 (p = 1.00, MAPSSWE over 40 segments); a loss below "
        "25.4% would not have been detected, detecting 10.0% takes about 1,600 words of such "
        "speech (these are 240); the change lies between -17.8% and +17.8% (95% interval)."
    )
    assert found.words_needed is not None
    more = [1, 1, 1, 2] * (10 * math.ceil(found.words_needed / 240))
    again = compared(more, [more[-1], *more[:-1]])
    assert again.detectable is not None
    assert again.detectable <= 0.10


def test_one_more_error_in_every_segment_is_worse_though_sctk_sees_none() -> None:
    found = compared([1] * 50, [2] * 50)
    assert (found.mean, found.sd, found.z, found.mapsswe_p) == (-1, 0, 0, 1)
    assert (found.test, found.verdict) == ("exact sign test", "worse")
    assert found.p == pytest.approx(2 * 0.5**50)
    assert found.detectable is None
    assert found.sentence == (
        "Worse: 100 errors against 50 (p < 0.001, exact sign test over 50 segments), 100.0% more."
    )


def test_the_same_output_is_not_called_lossless() -> None:
    found = compared([1, 2] * 50, [1, 2] * 50)
    assert (found.test, found.p, found.z, found.verdict) == (
        "exact sign test",
        1,
        0,
        "inconclusive",
    )
    assert found.detectable is None
    assert found.words_needed is None
    assert found.sentence == (
        "Inconclusive: 150 errors against 150 (p = 1.00, exact sign test over 100 segments); no "
        "segment differs, so what loss the test could detect is unknown."
    )


def test_too_few_segments_that_all_differ_alike() -> None:
    assert compared([1] * 4, [2] * 4).sentence == (
        "Inconclusive: 8 errors against 4 (p = 0.12, exact sign test over 4 segments); the "
        "segments all differ alike, so what loss the test could detect is unknown."
    )


def test_few_segments_are_left_to_the_sign_test() -> None:
    errors_a, errors_b = [1] * 20, [1] * 14 + [2] * 5 + [0]
    found = compared(errors_a, errors_b)
    assert (found.test, found.segments) == ("exact sign test", 20)
    assert found.p == pytest.approx(2 * (1 + 6) / 2**6)
    assert found.z == pytest.approx(-1.710, abs=1e-3)
    assert found.mapsswe_p == pytest.approx(0.08732, abs=1e-5)
    assert found.sctk_p == pytest.approx(0.08913, abs=1e-5)
    assert found.verdict == "inconclusive"
    assert compared([1] * 6, [2] * 6).verdict == "worse"
    assert compared([1] * 5, [2] * 5).verdict == "inconclusive"
    assert compared([2] * 6, [1] * 6).verdict == "better"


def test_thirty_segments_are_needed_though_the_variance_is_small() -> None:
    found = compared([5] * 20, [5] * 19 + [4])
    assert found.detectable is not None
    assert found.detectable < 0.10
    assert (found.verdict, found.words_needed) == ("inconclusive", 180)
    assert found.sentence == (
        "Inconclusive: 99 errors against 100 (p = 1.00, exact sign test over 20 segments); 30 "
        "segments are the fewest to tell by, it takes about 180 words of such speech (these are "
        "120)."
    )


def test_no_verdict_where_segments_and_errors_go_opposite_ways() -> None:
    found = compared([1] * 11 + [6], [2] * 11 + [0])
    assert found.p < 0.05
    assert found.errors_b > found.errors_a
    assert found.verdict == "worse"
    found = compared([1] * 9 + [6] * 2, [2] * 9 + [0] * 2)
    assert found.errors_b < found.errors_a
    assert found.verdict == "inconclusive"
    found = compared([1] * 15 + [6] * 3, [2] * 15 + [0] * 3)
    assert found.p < 0.05
    assert found.errors_b < found.errors_a
    assert found.verdict == "inconclusive"


def test_a_baseline_without_errors() -> None:
    worse = compared([0] * 40, [1, 2] * 20)
    assert (worse.test, worse.verdict, worse.detectable) == ("MAPSSWE", "worse", None)
    assert worse.sentence == "Worse: 60 errors against 0 (p < 0.001, MAPSSWE over 40 segments)."
    few = compared([0] * 40, [1, 1, 2] + [0] * 37)
    assert (few.segments, few.verdict, few.words_needed) == (3, "inconclusive", None)
    assert few.sentence == (
        "Inconclusive: 4 errors against 0 (p = 0.25, exact sign test over 3 segments); the "
        "baseline makes no error, so no relative loss can be told."
    )


def test_a_baseline_that_recognises_nothing_has_nothing_to_lose() -> None:
    """Its many errors would make any loss look small."""
    something = compared([5, 4, 4, 4] * 50, [4, 5, 4, 4] * 50)
    nothing = compared([7, 6, 6, 6] * 50, [6, 7, 6, 6] * 50)
    assert something.verdict == "lossless"
    assert something.p == nothing.p == 1
    assert nothing.detectable is not None
    assert nothing.detectable < 0.05
    assert nothing.verdict == "inconclusive"
    assert "errs as often as there are words (1,200), so it has nothing to lose" in nothing.sentence


def test_two_systems_without_errors() -> None:
    found = compared([0] * 40, [0] * 40)
    assert (found.segments, found.mean, found.sd, found.z, found.p) == (0, 0, 0, 0, 1)
    assert found.verdict == "inconclusive"
    assert found.sentence == (
        "Inconclusive: neither system errs in 240 words, so there is nothing to test."
    )


def test_one_segment() -> None:
    found = compared([0, 0], [0, 3])
    assert (found.segments, found.mean, found.sd, found.z, found.p) == (1, -3, 0, 0, 1)
    assert "over 1 segment)" in found.sentence


def test_what_counts_as_tolerable_can_be_chosen() -> None:
    scores = scored("A", [1, 1, 1, 2] * 10), scored("B", [1, 2, 1, 1] * 10)
    assert matched_pairs(*scores, detectable=0.3).verdict == "lossless"
    strict, loose = (matched_pairs(*scores, alpha=alpha).detectable for alpha in (0.01, 0.2))
    assert strict is not None
    assert loose is not None
    assert strict > loose


def test_scores_that_cannot_be_paired_are_refused() -> None:
    a, shorter = scored("A", [1, 0]), scored("B", [1])
    with pytest.raises(InputError, match="only one of A and B was scored on utterance 'u1'"):
        matched_pairs(a, shorter)
    texts = {"u0": ("", ("a",)), "u1": ("", ("b",))}
    other = score(Transcripts("reference", texts), Transcripts("B", texts))
    with pytest.raises(InputError, match="different references of utterance 'u0'"):
        matched_pairs(a, other)
