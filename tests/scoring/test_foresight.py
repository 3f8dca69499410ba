from pathlib import Path

import numpy as np
import pytest

from sottovoce.scoring import Score, Transcripts, matched_pairs, score
from sottovoce.scoring.foresight import (
    LEAST_VARIANCE,
    empty_output_warnings,
    fewest_errors,
    silence_warnings,
    too_few_words_warnings,
)


def _scored(errors: np.ndarray, name: str) -> Score:
    """Utterances of ten words, of which so many are wrong."""
    reference = {f"u{i}": ("", ("a",) * 10) for i in range(len(errors))}
    heard = {f"u{i}": ("", ("b",) * n + ("a",) * (10 - n)) for i, n in enumerate(errors)}
    return score(Transcripts("reference", reference), Transcripts(name, heard))


def test_as_many_errors_as_it_names_detect_the_loss_at_the_least_variance() -> None:
    """A quarter of the errors are another system's, as many gained as lost."""
    needed = fewest_errors(0.05, 0.10)
    assert needed == 197
    before = np.ones(needed + needed // 8, dtype=int)
    after = before.copy()
    before[: needed // 8], after[needed // 8 : needed // 4] = 0, 0
    first, second = _scored(before, "first"), _scored(after, "second")
    assert first.errors == needed
    pairs = matched_pairs(first, second)
    variance = pairs.segments * pairs.sd**2 / first.errors
    assert variance == pytest.approx(LEAST_VARIANCE, rel=0.05)
    assert pairs.detectable == pytest.approx(0.10, rel=0.03)


def test_errors_that_are_enough_bring_no_warning() -> None:
    assert too_few_words_warnings(_scored(np.full(50, 4), "system"), "dev") == ()
    assert too_few_words_warnings(_scored(np.full(50, 3), "system"), "dev", detectable=0.12) == ()


def test_too_few_errors_name_the_words_that_it_takes() -> None:
    (told,) = too_few_words_warnings(_scored(np.full(50, 2), "system"), "dev")
    assert told == (
        "dev has 100 errors of the input checkpoint; by experience 197 are the fewest to detect a "
        "loss of 10.0% by, so the verdict will hardly be lossless: it takes about 990 words of "
        "such speech at least (these are 500)"
    )
    (told,) = too_few_words_warnings(_scored(np.zeros(50, dtype=int), "system"), "dev")
    assert "no relative loss can be told" in told
    (told,) = too_few_words_warnings(_scored(np.full(50, 2), "system"), "dev", alpha=1e-20)
    assert "by experience 2,590 are" in told
    (told,) = too_few_words_warnings(_scored(np.full(29, 1), "system"), "dev", detectable=0.9)
    assert "30 are the fewest" in told  # segments


@pytest.mark.parametrize(("errors", "told"), [(9, 0), (10, 1)])
def test_a_model_no_better_than_silence_recognises_nothing(errors: int, told: int) -> None:
    found = empty_output_warnings(_scored(np.full(5, errors), "system"), Path("start"), "dev")
    assert len(found) == told
    assert all("start recognises nothing of dev (WER 100.00%)" in one for one in found)


def test_a_model_that_writes_nothing_is_told() -> None:
    reference = Transcripts("reference", {"u": ("", ("a",)), "v": ("", ("b",))})
    for words, told in (((), True), (("c",), False)):
        hypothesis = Transcripts("hypothesis", {"u": ("", ()), "v": ("", words)})
        warnings = silence_warnings(score(reference, hypothesis), "out")
        assert any("every hypothesis of out is empty" in one for one in warnings) is told
