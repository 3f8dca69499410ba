"""What a run leaves behind, as one frozen value: `metrics.json`, and all that a report reads."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sottovoce.errors import InputError

Pairs = tuple[tuple[str | None, str | None], ...]
"""An alignment: (reference word, hypothesis word) pairs; None stands for no word."""


@dataclass(frozen=True)
class System:
    """One recogniser and how well it did on the evaluation speech.

    Attributes:
        name: "input checkpoint", "full precision, fine-tuned" or "compressed".
        bytes: size of its tensors on disk.
        nominal_bits, effective_bits: over the encoder's matrices; in full precision the file's.
        wer: word error rate, a fraction; `low` and `high` bound its 95% interval, resampled by
            `resampled_by` ("speaker" or "utterance").
        words: reference words.
    """

    name: str
    bytes: int
    nominal_bits: float
    effective_bits: float
    wer: float
    low: float
    high: float
    resampled_by: str
    substitutions: int
    deletions: int
    insertions: int
    words: int


@dataclass(frozen=True, kw_only=True)
class StoredLayer:
    """One quantized layer; `shape` is (rows, columns), all taps of a convolution in a row.
    `input_bits` is of what goes into it; None leaves that in floating point."""

    layer: str
    shape: tuple[int, int]
    bits: float
    grid: str
    granularity: str
    bytes: int
    input_bits: int | None = None


@dataclass(frozen=True, kw_only=True)
class LayerRow(StoredLayer):
    """One encoder matrix: `depth` is its encoder layer, `matrix` its role there ("q", "k", "v",
    "out", "feed-forward in", "feed-forward out"). No two share both depth and matrix.
    `expected_bits` is the mean width under the distribution that was learnt; None where the plan
    was given."""

    depth: int
    matrix: str
    expected_bits: float | None = None


@dataclass(frozen=True)
class TrainingPoint:
    """What was logged at one update; a field is None where it was not measured.

    Attributes:
        step: updates since the run began, ascending over both passes.
        loss: the step's whole loss without the size term, nats a frame.
        temperature: of the Gumbel-softmax; None once the plan is frozen.
        expected_bits: mean bits under the importance distribution.
        hard_bits: nominal bits of the hard plan at this step.
        wer: dev word error rate of the *hard* plan, a fraction.
        seconds: wall-clock seconds of training so far.
        cpu_seconds: likewise, of this process on the processor; None where another device trains.
    """

    step: int
    loss: float
    learning_rate: float
    seconds: float
    temperature: float | None = None
    expected_bits: float | None = None
    hard_bits: float | None = None
    wer: float | None = None
    cpu_seconds: float | None = None


@dataclass(frozen=True)
class Comparison:
    """The compressed system against `baseline` (a `System` name); fields as in scoring.

    `detectable` is the smallest relative loss the test would have found, a fraction of the
    baseline's errors; `verdict` one of "better", "worse", "lossless", "inconclusive".
    """

    baseline: str
    test: str
    segments: int
    z: float
    p: float
    detectable: float | None
    verdict: str
    sentence: str


@dataclass(frozen=True)
class Change:
    """An utterance whose errors changed, with both alignments to the reference."""

    utterance: str
    speaker: str
    errors_before: int
    errors_after: int
    before: Pairs
    after: Pairs


@dataclass(frozen=True, kw_only=True)
class TriedSize:
    """A size that the autopilot tried, and how its model did on the speech it decides on.

    Attributes:
        bits: target of nominal bits.
        effective_bits: what the model came to, scales and padding counted.
        change: of the errors, relative to those of what errs least of all it is held against.
        passed: whether a smaller size was tried next.
        judged: the verdict on the other part of the speech, where it was asked for.
    """

    bits: float
    bytes: int
    wer: float
    change: float
    p: float
    verdict: str
    passed: bool
    seconds: float
    judged: str | None = None
    effective_bits: float | None = None

    @property
    def sentence(self) -> str:
        """For a person to read."""
        return (
            f"{self.bits:g} bits {'pass' if self.passed else 'do not pass'}: "
            f"WER {100 * self.wer:.2f}%, {100 * self.change:+.1f}% errors (p = {self.p:.3f})"
        )


@dataclass(frozen=True)
class RunRecord:
    """A whole run. `systems` begins with the input checkpoint and ends with the compressed one.

    `layers` are the encoder's matrices, `cnns` what else is quantized. `training_seconds` and
    `training_cpu_seconds` (None as in `TrainingPoint`) count all stages, also those that were found
    trained. `tried` is the autopilot's way to the size, `auto_class` what of transformers loads the
    result.
    """

    version: str
    created: str
    command: str
    source: str
    evaluated_on: str
    device: str
    seconds: float
    recipe: dict[str, Any]
    systems: tuple[System, ...]
    comparisons: tuple[Comparison, ...]
    layers: tuple[LayerRow, ...]
    history: tuple[TrainingPoint, ...]
    got_worse: tuple[Change, ...]
    cnns: tuple[StoredLayer, ...] = ()
    training_seconds: float | None = None
    training_cpu_seconds: float | None = None
    tried: tuple[TriedSize, ...] = ()
    notes: tuple[str, ...] = ()
    auto_class: str = "AutoModelForCTC"

    @property
    def source_name(self) -> str:
        """The source without the folders that it lies in; a hub id stays whole."""
        folder = Path(self.source)
        return folder.name if folder.exists() or folder.is_absolute() else self.source

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, folder: Path) -> "RunRecord":
        """That of a finished folder; else as `from_json`."""
        return cls.from_json(json.loads((folder / "metrics.json").read_text(encoding="utf-8")))

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "RunRecord":
        """Read `to_json`'s record back; lists within `recipe` stay lists.

        Raises:
            InputError: a field is missing or unknown; it is named.
        """
        try:
            fields = {
                **record,
                "systems": tuple(System(**system) for system in record["systems"]),
                "comparisons": tuple(Comparison(**test) for test in record["comparisons"]),
                "layers": tuple(
                    LayerRow(**{**row, "shape": tuple(row["shape"])}) for row in record["layers"]
                ),
                "cnns": tuple(
                    StoredLayer(**{**row, "shape": tuple(row["shape"])})
                    for row in record.get("cnns", ())
                ),
                "history": tuple(TrainingPoint(**point) for point in record["history"]),
                "got_worse": tuple(_change(change) for change in record["got_worse"]),
                "tried": tuple(TriedSize(**one) for one in record.get("tried", ())),
                "notes": tuple(record.get("notes", ())),
            }
            return cls(**fields)
        except KeyError as error:
            raise InputError(f"the run's record lacks {error}; write it anew") from error
        except TypeError as error:
            raise InputError(f"the run's record is not valid: {error}") from error


def _change(fields: Mapping[str, Any]) -> Change:
    before, after = (tuple(map(tuple, fields[when])) for when in ("before", "after"))
    return Change(**{**fields, "before": before, "after": after})
