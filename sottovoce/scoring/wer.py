"""Word error rate, and the interval it lies in."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sottovoce.errors import InputError
from sottovoce.files import write_text
from sottovoce.scoring.alignment import Alignment, align
from sottovoce.scoring.transcripts import Transcripts
from sottovoce.wording import plural

_NAMED = 3
"""Utterances that a message names before it says how many more there are."""


@dataclass(frozen=True)
class Interval:
    """A bootstrap percentile interval of the word error rate; `low` and `high` are fractions.

    Attributes:
        level: share of the resampled rates that lie within.
        resampled_by: "speaker" or "utterance".
        units: how many speakers or utterances there are to draw from.
    """

    low: float
    high: float
    level: float
    resampled_by: str
    units: int


@dataclass(frozen=True)
class Score:
    """A system's hypotheses aligned with the reference, utterance by utterance.

    Attributes:
        alignments: utterance id -> alignment, in the reference's order.
    """

    reference: Transcripts
    hypothesis: Transcripts
    alignments: Mapping[str, Alignment]

    @cached_property
    def substitutions(self) -> int:
        return sum(alignment.substitutions for alignment in self.alignments.values())

    @cached_property
    def deletions(self) -> int:
        return sum(alignment.deletions for alignment in self.alignments.values())

    @cached_property
    def insertions(self) -> int:
        return sum(alignment.insertions for alignment in self.alignments.values())

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @cached_property
    def words(self) -> int:
        """Reference words; 1 at least."""
        return sum(alignment.reference_words for alignment in self.alignments.values())

    @property
    def wer(self) -> float:
        """Errors for a reference word: a fraction, above 1 where insertions abound."""
        return self.errors / self.words

    @property
    def speakers(self) -> dict[str, str]:
        """Utterance id -> speaker, as the reference names them."""
        return {utterance: self.reference.utterances[utterance][0] for utterance in self.alignments}

    def interval(self, resamples: int = 2000, seed: int = 0, level: float = 0.95) -> Interval:
        """Bootstrap interval of the word error rate (Bisani & Ney, ICASSP 2004).

        Whole speakers are drawn with replacement, for a speaker's errors are not independent;
        utterances are, where a speaker is unknown or all have the same. Draws without a reference
        word have no error rate and are left out.
        """
        speakers = self.speakers
        by_speaker = all(speakers.values()) and len(set(speakers.values())) > 1
        totals: dict[str, list[int]] = {}
        for utterance, alignment in self.alignments.items():
            total = totals.setdefault(speakers[utterance] if by_speaker else utterance, [0, 0])
            total[0] += alignment.errors
            total[1] += alignment.reference_words
        errors, words = np.array(list(totals.values())).T
        random = np.random.default_rng(seed)
        draws = (random.integers(len(totals), size=len(totals)) for _ in range(resamples))
        rates = [errors[drawn].sum() / words[drawn].sum() for drawn in draws if words[drawn].any()]
        low, high = np.quantile(rates or [self.wer], [(1 - level) / 2, (1 + level) / 2])
        return Interval(
            low=float(low),
            high=float(high),
            level=level,
            resampled_by="speaker" if by_speaker else "utterance",
            units=len(totals),
        )

    @property
    def sentence(self) -> str:
        """The result for a person to read."""
        interval = self.interval()
        return (
            f"WER {self.wer:.2%}, {interval.level:.0%} interval {interval.low:.2%} to "
            f"{interval.high:.2%} ({plural(interval.units, interval.resampled_by)} "
            f"resampled): {self.substitutions:,} substituted, {self.deletions:,} deleted and "
            f"{self.insertions:,} inserted in {plural(self.words, 'word')}."
        )

    def to_json(self) -> dict[str, Any]:
        """Totals, interval, and every utterance with its counts and aligned pairs of words."""
        return {
            "hypothesis": self.hypothesis.name,
            "reference": self.reference.name,
            "wer": self.wer,
            "interval": asdict(self.interval()),
            "substitutions": self.substitutions,
            "deletions": self.deletions,
            "insertions": self.insertions,
            "words": self.words,
            "utterances": [
                {
                    "id": utterance,
                    "speaker": speaker,
                    "substitutions": self.alignments[utterance].substitutions,
                    "deletions": self.alignments[utterance].deletions,
                    "insertions": self.alignments[utterance].insertions,
                    "words": self.alignments[utterance].reference_words,
                    "pairs": self.alignments[utterance].pairs,
                }
                for utterance, speaker in self.speakers.items()
            ],
        }

    def write(self, folder: Path, **facts: float | str) -> None:
        """Write `reference.trn` and `hypothesis.trn` for sclite, and `score.json`.

        Args:
            folder: made where it does not exist.
            facts: further ones for `score.json`, such as a real-time factor.

        Raises:
            InputError: the folder cannot be made or written to, or the words cannot stand in a
                `.trn` file.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"folder {folder} cannot be made ({error.strerror}); name another"
            ) from error
        self.reference.write_trn(folder / "reference.trn")
        self.hypothesis.write_trn(folder / "hypothesis.trn")
        record = json.dumps(self.to_json() | facts, ensure_ascii=False)
        write_text(folder / "score.json", f"{record}\n")


def score(reference: Transcripts, hypothesis: Transcripts) -> Score:
    """Align every utterance's hypothesis with its reference.

    An utterance may have no reference words (silence, noise): whatever is recognised there is
    inserted. An empty hypothesis deletes the reference.

    Raises:
        InputError: the two do not hold the same utterances, or there is no reference word at all.
    """
    _same_utterances(reference, hypothesis)
    alignments = {
        utterance: align(words, hypothesis.utterances[utterance][1])
        for utterance, (_, words) in reference.utterances.items()
    }
    result = Score(reference, hypothesis, alignments)
    if result.words == 0:
        count = plural(len(alignments), "utterance")
        raise InputError(
            f"{reference.name} has no words in its {count}, so there is no "
            f"word error rate; score speech that has transcripts"
        )
    return result


def _same_utterances(reference: Transcripts, hypothesis: Transcripts) -> None:
    missing = reference.utterances.keys() - hypothesis.utterances.keys()
    unknown = hypothesis.utterances.keys() - reference.utterances.keys()
    if missing:
        raise InputError(
            f"{hypothesis.name} lacks {_named(missing)} of {reference.name}; recognise the same "
            f"utterances, and keep those in which nothing was recognised as empty lines"
        )
    if unknown:
        raise InputError(
            f"{hypothesis.name} holds {_named(unknown)}, which {reference.name} lacks; recognise "
            f"the same utterances"
        )


def _named(utterances: Iterable[str]) -> str:
    """ "utterance 'a'", or "utterances 'a', 'b', 'c' and 4 more"."""
    names = sorted(utterances)
    listed = ", ".join(map(repr, names[:_NAMED]))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"utterance{'s' * (len(names) > 1)} {listed}{more}"
