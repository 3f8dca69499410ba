"""What training takes adds up over interruptions."""

import time

import pytest
import torch

from sottovoce.training.timing import Spent, stopwatch

CPU = torch.device("cpu")


def test_sleeping_takes_no_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = stopwatch(CPU, Spent(10.0, 5.0))
    wall, cpu = time.monotonic(), time.process_time()
    monkeypatch.setattr(time, "monotonic", lambda: wall + 100)
    monkeypatch.setattr(time, "process_time", lambda: cpu + 1)
    found = spent()
    assert found.seconds == pytest.approx(110, abs=1)
    assert found.cpu_seconds == pytest.approx(6, abs=1)


@pytest.mark.parametrize("before", [Spent(1.0, None), None])
def test_a_time_that_is_not_known_stays_unknown(before: Spent | None) -> None:
    """Of a run begun by an older version, and where another device does the work."""
    spent = stopwatch(CPU if before else torch.device("meta"), before)()
    assert spent.cpu_seconds is None
    assert spent.seconds >= (before.seconds if before else 0)
