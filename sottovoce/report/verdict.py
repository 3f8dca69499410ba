"""Which of a run's verdicts stands at the top."""

from collections.abc import Sequence

from sottovoce.record import Comparison

VERDICTS = ("worse", "inconclusive", "lossless", "better")
"""From the least to the most favourable."""

MARKS = {"worse": "▼", "inconclusive": "?", "lossless": "†", "better": "★"}
"""A sign for each verdict, so that none is told by colour alone; † and ★ are the literature's."""


def headline(comparisons: Sequence[Comparison]) -> Comparison | None:
    """The least favourable comparison, the last of equals; None where nothing was compared.

    A compressed model that beats its input checkpoint but not the same model fine-tuned for as
    long has not earned "better", so the harder baseline speaks for the run.
    """
    if not comparisons:
        return None
    return min(reversed(comparisons), key=lambda comparison: VERDICTS.index(comparison.verdict))
