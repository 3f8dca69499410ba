"""A table's claims: pairs of rows that are tested once they are finished.

In a table's TOML, a claim is one or several `[[pairs]]`:

    [[pairs]]
    claim = "ours beats uniform"
    better = ["ours", "ours-seed-1"]            # each against the row at the same place of `than`
    than = ["uniform", "uniform-seed-1"]

    [[pairs]]
    claim = "ours loses nothing"
    no_worse = ["ours", "ours-seed-1"]          # each against the one row
    than = "input"

    [[pairs]]
    claim = "ours beats uniform, means over seeds"
    better = "ours"
    than = "uniform"
    seeds = ["", "-seed-1"]                     # ends of the names of each side's runs
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sottovoce.errors import InputError

Expected = Literal["better", "no_worse"]
EXPECTED: tuple[Expected, ...] = get_args(Expected)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A claim about a candidate beside a baseline.

    Attributes:
        claim: in words; pairs of one claim share them.
        expected: of the candidate's errors.
        candidate, baseline: names of rows; several are runs of one recipe, whose mean counts.
    """

    claim: str
    expected: Expected
    candidate: tuple[str, ...]
    baseline: tuple[str, ...]

    @property
    def rows(self) -> frozenset[str]:
        """All names of rows that the test needs."""
        return frozenset(self.candidate + self.baseline)


def read_pairs(record: Mapping[str, Any], rows: Collection[str]) -> Iterator[Pair]:
    """The pairs of one `[[pairs]]` of a table.

    Args:
        rows: names that pairs may be made of.

    Raises:
        InputError: the entry cannot be read, or names a row that the table does not run.
    """
    claim = record.get("claim")
    if not isinstance(claim, str) or not claim:
        raise InputError(f"pairs have the claim {claim!r}; say it in words")
    try:
        yield from _pairs(claim, record, rows)
    except InputError as error:
        raise InputError(f"pairs of {claim!r}: {error}") from error


def _pairs(claim: str, record: Mapping[str, Any], rows: Collection[str]) -> Iterator[Pair]:
    unknown = record.keys() - {"claim", *EXPECTED, "than", "seeds"}
    if unknown:
        raise InputError(f"{min(unknown)!r} is unknown")
    expected: list[Expected] = [outcome for outcome in EXPECTED if outcome in record]
    if len(expected) != 1 or "than" not in record:
        raise InputError(f"give one of {' and '.join(EXPECTED)}, and than")
    candidates, baselines = _names(record, expected[0]), _names(record, "than")
    if len(baselines) == 1:
        baselines *= len(candidates)
    if len(candidates) != len(baselines):
        raise InputError(
            f"{expected[0]} has {len(candidates)} rows and than {len(baselines)}; give as many, or "
            "one baseline for all"
        )
    seeds = _names(record, "seeds") if "seeds" in record else ("",)
    for candidate, baseline in zip(candidates, baselines, strict=True):
        yield Pair(
            claim=claim,
            expected=expected[0],
            candidate=_runs(candidate, seeds, rows),
            baseline=_runs(baseline, seeds, rows),
        )


def _names(record: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = record[key]
    names = (value,) if isinstance(value, str) else tuple(value)
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{key} is {value!r}; give one or several strings")
    return names


def _runs(name: str, seeds: tuple[str, ...], rows: Collection[str]) -> tuple[str, ...]:
    """One for each seed; the row itself where it was run with one seed only."""
    runs = tuple(f"{name}{seed}" for seed in seeds)
    missing = [run for run in runs if run not in rows]
    if not missing:
        return runs
    if name in rows and len(missing) == sum(bool(seed) for seed in seeds):
        return (name,)
    raise InputError(f"the table runs no row {missing[0]!r}")
