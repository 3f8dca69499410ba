"""Results of a table's rows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sottovoce.scoring import Score, Transcripts, score

ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Result:
    """A row that was run.

    Attributes:
        bits, effective_bits: of the encoder's matrices; in full precision the file's.
        bytes: of its tensors on disk.
        seconds: of training, shared stages counted in full; `cpu_seconds` of the processor, None
            where another device trained, or the row is older than this count.
        wer: test set -> fraction, and `ALL`: the mean over the combined sets, weighted by their
            utterances.
        verdicts: test set -> against the baseline; `ALL` pools the combined sets.
        p: of the `ALL` verdict.
        command: that makes the row alone.
        processor: that trained it; None where nothing was trained, or the row is older than this
            record.
    """

    name: str
    bits: float
    effective_bits: float
    bytes: int
    ratio: float
    seconds: float
    cpu_seconds: float | None
    wer: Mapping[str, float]
    verdicts: Mapping[str, str]
    p: float | None
    command: str
    processor: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Result":
        """Read what `to_json` gave, in this version or an older one."""
        return cls(**{"cpu_seconds": None, **record})


def rate_over(scores: Mapping[str, Score]) -> float:
    """xu2025's "all": the mean of the sets' error rates, weighted by their utterances; a
    fraction."""
    utterances = {name: len(score.alignments) for name, score in scores.items()}
    total = sum(utterances.values())
    return sum(score.wer * utterances[name] / total for name, score in scores.items())


def pooled(scores: Mapping[str, Score]) -> Score:
    """Several test sets as one; utterances are called by their set too."""
    references, hypotheses = (
        Transcripts(
            ALL,
            {
                f"{name} {utterance}": said
                for name, score in scores.items()
                for utterance, said in side(score).utterances.items()
            },
        )
        for side in (lambda one: one.reference, lambda one: one.hypothesis)
    )
    return score(references, hypotheses)
