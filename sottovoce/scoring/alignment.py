"""The one word alignment that the error rate, its interval and the significance test all read.

| pair                        | cost | counted as   |
|-----------------------------|------|--------------|
| a word and the same word    | 0    | correct      |
| a word and another word     | 4    | substitution |
| a reference word alone      | 3    | deletion     |
| a hypothesis word alone     | 3    | insertion    |

The costs are those of NIST's sclite, and so is the choice between equal ones: read from the end, a
pair of words goes before a lone word, and a lone hypothesis word before a lone reference word.

Two deletions with two insertions cost as much as three substitutions (12), so where they let more
words match an utterance may count an error more than with an aligner that prices every error at 1,
such as jiwer's. It never counts fewer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SUBSTITUTION = 4
LONE_WORD = 3

Pair = tuple[str | None, str | None]
"""(reference word, hypothesis word); None stands for no word."""


@dataclass(frozen=True)
class Alignment:
    """Which hypothesis word stands for which reference word, from first to last."""

    pairs: tuple[Pair, ...]

    @property
    def substitutions(self) -> int:
        return sum(
            reference is not None and hypothesis is not None and reference != hypothesis
            for reference, hypothesis in self.pairs
        )

    @property
    def deletions(self) -> int:
        return sum(hypothesis is None for _, hypothesis in self.pairs)

    @property
    def insertions(self) -> int:
        return sum(reference is None for reference, _ in self.pairs)

    @property
    def errors(self) -> int:
        return sum(reference != hypothesis for reference, hypothesis in self.pairs)

    @property
    def reference_words(self) -> int:
        return sum(reference is not None for reference, _ in self.pairs)


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> Alignment:
    """Align two word sequences at the lowest cost. Words are compared exactly as they stand."""
    same = _shared_ending(reference, hypothesis)
    row, column = len(reference) - same, len(hypothesis) - same
    costs = _costs(reference[:row], hypothesis[:column])
    backwards: list[Pair] = []
    while row or column:
        here = costs[row, column]
        if (
            row
            and column
            and here
            == costs[row - 1, column - 1] + _pair_cost(reference[row - 1], hypothesis[column - 1])
        ):
            row, column = row - 1, column - 1
            backwards.append((reference[row], hypothesis[column]))
        elif column and here == costs[row, column - 1] + LONE_WORD:
            column -= 1
            backwards.append((None, hypothesis[column]))
        else:
            row -= 1
            backwards.append((reference[row], None))
    ending = reference[len(reference) - same :]
    return Alignment((*reversed(backwards), *zip(ending, ending, strict=True)))


def _shared_ending(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """How many last words both share: the best alignment always pairs them."""
    shared = 0
    for ours, theirs in zip(reversed(reference), reversed(hypothesis), strict=False):
        if ours != theirs:
            break
        shared += 1
    return shared


def _pair_cost(reference: str, hypothesis: str) -> int:
    return 0 if reference == hypothesis else SUBSTITUTION


def _costs(reference: Sequence[str], hypothesis: Sequence[str]) -> NDArray[np.int32]:
    """[i, j]: lowest cost of aligning the first i reference and first j hypothesis words."""
    alone = LONE_WORD * np.arange(len(hypothesis) + 1, dtype=np.int32)
    costs = np.empty((len(reference) + 1, len(hypothesis) + 1), dtype=np.int32)
    costs[0] = alone
    words = np.array(hypothesis, dtype=object)
    for row, word in enumerate(reference):
        above = costs[row]
        costs[row + 1, 0] = above[0] + LONE_WORD
        paired = above[:-1] + np.where(words == word, 0, SUBSTITUTION)
        costs[row + 1, 1:] = np.minimum(paired, above[1:] + LONE_WORD)
        # A run of insertions after any column costs the same a word, so the running minimum of
        # cost minus the price of the words so far finds the best place for the run to begin.
        costs[row + 1] = np.minimum.accumulate(costs[row + 1] - alone) + alone
    return costs
