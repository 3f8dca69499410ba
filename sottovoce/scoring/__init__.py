"""Word errors, their interval and the matched-pairs test, all read from one alignment."""

from sottovoce.scoring.alignment import Alignment, align
from sottovoce.scoring.comparison import MatchedPairs
from sottovoce.scoring.mapsswe import POWER, matched_pairs
from sottovoce.scoring.transcripts import Transcripts
from sottovoce.scoring.wer import Interval, Score, score

__all__ = [
    "POWER",
    "Alignment",
    "Interval",
    "MatchedPairs",
    "Score",
    "Transcripts",
    "align",
    "matched_pairs",
    "score",
]
