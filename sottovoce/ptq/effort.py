"""How much a post-training quantization may compute, whatever the model and the speech are like.

The unit is a second of speech that runs through the whole network: about a third of a second of
one core for wav2vec2-base. A pass is the calibration speech once. Every sum here holds in the worst
case, where every layer suffers.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sottovoce.config.post_training import LEAST_MINUTES, MOST_MINUTES

"""Of calibration speech, where the user does not say."""
MULTIPLY_ADDS = 630e9
"""For one pass over the calibration speech, where that does not take less than the least minutes:
wav2vec2-base computes so much in a minute and a half."""
RANKING_PASSES = 8.0
"""Of all layers together, to rank them by how far the outputs diverge; each takes its part."""
COSTS_PASSES = 30.0
"""The same for every matrix at every width."""
FITTING_SHARE = 0.5
"""Of the calibration speech, that a layer is fitted to."""
TRIED_ALONE = 6
"""Layers whose words are recognised with them alone quantized: those that diverge most."""
REFITS = 8
FREED = (0, 1, 2, 4, 8)
"""How many layers keep their inputs in floating point, one try after the other; then all."""
SHORTEST_SECONDS = 2.0
"""Of speech for one ranked layer, however many there are."""

REPLAYED = 0.4
"""Of the network, what one replay computes on average."""


def minutes_for(multiply_adds: float) -> float:
    """How much speech calibrates a model, where the user does not say.

    Args:
        multiply_adds: for a second of speech.
    """
    return min(MOST_MINUTES, max(LEAST_MINUTES, MULTIPLY_ADDS / max(1.0, multiply_adds) / 60))


def seconds_each(budget: float, trials: int) -> float:
    """Return the seconds of speech for each of some trials that share a budget."""
    return max(SHORTEST_SECONDS, budget / max(1, trials))


def replaying(budget: float) -> float:
    """Return what replays of so many seconds compute, in seconds of speech."""
    return budget * REPLAYED


class Job:
    """A bar for a whole job: how much is done of what may have to be, and the time left at most.

    What a phase does not need of its share is taken off when it ends; what it took is then printed,
    so that a log tells the same.
    """

    def __init__(self, console: Console, phases: Mapping[str, float]) -> None:
        """
        Args:
            phases: the most that each may compute, in seconds of speech, by its name.
        """
        self.console = console
        self._left = dict(phases)
        self._done = 0.0
        self._begun = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("at most"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            speed_estimate_period=3600.0,
        )
        self._task = self._bar.add_task("", total=self.total)
        self._phase: str | None = None

    @property
    def total(self) -> float:
        """Seconds of speech: what was computed, and the most that may still have to be."""
        return self._done + sum(self._left.values())

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Context manager: what is computed counts for this phase, which does not come again."""
        self._phase = name
        self._bar.update(self._task, description=name)
        begun, processor_begun = time.monotonic(), time.process_time()
        yield
        self._left.pop(name, None)
        self._phase = None
        self._show()
        self.print(
            f"{name}: {time.monotonic() - begun:.1f} s, "
            f"{time.process_time() - processor_begun:.1f} CPU-s{self._outlook()}"
        )

    def advance(self, seconds: float) -> None:
        """Count so many seconds of speech as computed."""
        self._done += seconds
        if self._phase in self._left:
            self._left[self._phase] = max(0.0, self._left[self._phase] - seconds)
        self._show()

    def print(self, text: str) -> None:
        """Print a line above the bar."""
        self.console.print(text)

    def _outlook(self) -> str:
        if not self._done or not self._left:
            return ""
        seconds = (time.monotonic() - self._begun) * sum(self._left.values()) / self._done
        return f"; at most {seconds / 60:.1f} minutes left"

    def _show(self) -> None:
        self._bar.update(self._task, completed=self._done, total=self.total)
