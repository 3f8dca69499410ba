"""What a computation takes: time on the wall, and of the processor."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch

from sottovoce.record import TrainingPoint
from sottovoce.training.distributed import is_single_process


@dataclass(frozen=True)
class Spent:
    """Seconds that add up over interruptions.

    Attributes:
        seconds: of the clock on the wall.
        cpu_seconds: of this process on all cores, whatever else the machine did; None where it is
            not known, or where another device or process did some of the work.
    """

    seconds: float = 0.0
    cpu_seconds: float | None = 0.0

    @classmethod
    def of(cls, point: TrainingPoint) -> Self:
        """What training had taken at a point of its history."""
        return cls(point.seconds, point.cpu_seconds)

    def __add__(self, other: "Spent") -> "Spent":
        on_cpu = None
        if self.cpu_seconds is not None and other.cpu_seconds is not None:
            on_cpu = self.cpu_seconds + other.cpu_seconds
        return Spent(self.seconds + other.seconds, on_cpu)


def stopwatch(device: torch.device, before: Spent | None = None) -> Callable[[], Spent]:
    """What is spent from now on, each time it is called.

    Args:
        device: that does the work.
        before: what had been spent already.
    """
    wall, cpu = time.monotonic(), time.process_time()
    here = device.type == "cpu" and is_single_process()

    def spent() -> Spent:
        on_cpu = time.process_time() - cpu if here else None
        return (before or Spent()) + Spent(time.monotonic() - wall, on_cpu)

    return spent
