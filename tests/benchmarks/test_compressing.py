from dataclasses import replace

from benchmarks.compressing import facts_of
from sottovoce.record import RunRecord, System

SYSTEM = System("compressed", 100, 4.0, 4.1, 0.1, 0.05, 0.15, "speaker", 1, 0, 0, 10)
RECORD = RunRecord(
    **dict.fromkeys(("version", "created", "command", "source", "evaluated_on", "device"), ""),
    **dict.fromkeys(("comparisons", "layers", "history", "got_worse"), ()),
    systems=(SYSTEM,),
    recipe={},
    seconds=60.0,
    training_cpu_seconds=120.0,
)


def test_a_rows_minutes_are_those_of_training_over_all_interruptions() -> None:
    assert facts_of(RECORD)["cpu_minutes"] == 2
    assert "cpu_minutes" not in facts_of(replace(RECORD, training_cpu_seconds=None))
