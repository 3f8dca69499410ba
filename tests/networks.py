"""Which networks an update runs."""

from typing import Any

import pytest

from sottovoce.search.supernet import QuantizedStep


def recorded_networks(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A list to which every network that runs from now on is added."""
    ran: list[object] = []
    original = QuantizedStep.running

    def running(step: QuantizedStep, network: str | int) -> Any:
        ran.append(network)
        return original(step, network)

    monkeypatch.setattr(QuantizedStep, "running", running)
    return ran
