"""The training loop. Every method trains with it; what differs is the objective."""

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, astuple, dataclass, fields, replace
from typing import Any, Protocol

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim import AdamW
from transformers import set_seed

from sottovoce.command import how_to_go_on
from sottovoce.config.recipe import Training
from sottovoce.errors import InputError, Interrupted
from sottovoce.memory import explain_out_of_memory, keep_freed_memory
from sottovoce.models.recogniser import Recogniser
from sottovoce.record import TrainingPoint
from sottovoce.training.batch import Batch, TrainingSpeech
from sottovoce.training.distributed import (
    all_reduce_gradients,
    any_process,
    is_main_process,
    is_single_process,
)
from sottovoce.training.state import (
    Saved,
    WorkFolder,
    optimizer_tensors,
    restore_optimizer,
)
from sottovoce.training.timing import Spent, stopwatch

_SAVE_EVERY_SECONDS = 120.0
_HISTORY = "history"
_FIELDS = tuple(spec.name for spec in fields(TrainingPoint))


@dataclass(frozen=True)
class Update:
    """Which update of how many this is."""

    index: int
    total: int


@dataclass(frozen=True)
class LrSchedule:
    """How an update moves the parameters.

    Attributes:
        lr_scale: share of the peak learning rates.
        reset_optimizer: whether AdamW forgets its moments first, since the loss is another one now.
    """

    lr_scale: float
    reset_optimizer: bool = False


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate.

    Attributes:
        scheduled: whether warm-up, decay and clipping apply; if not, the rate is constant.
    """

    parameters: list[nn.Parameter]
    learning_rate: float
    weight_decay: float = 0.0
    scheduled: bool = True


class Objective(Protocol):
    """What a method brings to the loop."""

    def parameter_groups(self) -> list[ParameterGroup]: ...

    def lr_schedule(self, update: Update) -> "LrSchedule": ...

    def update(self, batch: Batch, update: Update) -> dict[str, Any]:
        """Run the networks of one update and leave gradients behind.

        Returns:
            Fields of `TrainingPoint`; `loss` at least.
        """
        ...

    def deployed(self) -> AbstractContextManager[Recogniser]:
        """The recogniser as it would be delivered now, for evaluation."""
        ...

    def state(self) -> Saved: ...

    def restore(self, state: Saved) -> None: ...


def train(
    objective: Objective,
    speech: TrainingSpeech,
    recipe: Training,
    work: WorkFolder,
    evaluate: Callable[[Recogniser], float],
    console: Console,
) -> tuple[TrainingPoint, ...]:
    """Train to the end, from the beginning or from where `work` left off.

    Every update draws its random numbers from (seed, update) alone, so that an interrupted run
    that resumes ends with the same weights as one that was not.

    Args:
        evaluate: dev word error rate of a recogniser, a fraction.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM, once the update under way is finished and saved.
        InputError: the loss is no longer finite, or another process trains in `work`.
    """
    total = update_count(speech, recipe)
    groups = objective.parameter_groups()
    optimizer = build_optimizer(groups)
    kept = _Kept(objective, optimizer, work)
    history = kept.history
    evaluate_after = {
        round(total * (k + 1) / recipe.evaluations) for k in range(recipe.evaluations)
    }

    with work.held(), keep_freed_memory(), _bar(console) as bar, _interruption() as interrupted:
        kept.restore()
        begun, before = len(history), Spent.of(history[-1]) if history else Spent()
        spent = stopwatch(groups[0].parameters[0].device, before)
        last_save = time.monotonic()
        task = bar.add_task("training", total=total, completed=len(history), told="")
        batches = speech.batches(recipe, len(history))
        for index in range(begun, total):
            batch = kept.next_of(batches, total)
            told = make_update(objective, groups, optimizer, batch, Update(index, total), recipe)
            point = TrainingPoint(index + 1, **asdict(spent()), **told)
            if point.step in evaluate_after and is_main_process():
                with objective.deployed() as recogniser:
                    point = replace(point, wer=evaluate(recogniser))
                bar.console.print(_sentence(point, total))
            history.append(point)
            bar.update(task, advance=1, told=f"loss {point.loss:.3f}")
            stopping = any_process(interrupted())
            if stopping or time.monotonic() - last_save > _SAVE_EVERY_SECONDS:
                kept.save()
                last_save = time.monotonic()
            if stopping:
                raise Interrupted(
                    f"interrupted after update {point.step} of {total}, which is kept in "
                    f"{work.path}; {how_to_go_on()}"
                )
        _refuse_divergence(groups)
        if len(history) > begun:
            kept.save()
    return tuple(history)


class _Kept:
    """What a training has come to, and the folder that keeps it.

    Attributes:
        history: grows by a point at every update.
    """

    def __init__(self, objective: Objective, optimizer: AdamW, work: WorkFolder) -> None:
        self._objective = objective
        self._optimizer = optimizer
        self._work = work
        self.history: list[TrainingPoint] = []

    def restore(self) -> None:
        """Go back to what was saved, if anything was."""
        saved = self._work.load()
        if saved is not None:
            self._objective.restore(saved)
            restore_optimizer(self._optimizer, saved.tensors)
            self.history += history_from_tensor(saved.tensors[_HISTORY])

    def save(self) -> None:
        state = self._objective.state()
        tensors = {**state.tensors, **optimizer_tensors(self._optimizer)}
        self._work.save(Saved({**tensors, _HISTORY: history_tensor(self.history)}, state.facts))

    def next_of(self, batches: Iterator[Batch], total: int) -> Batch:
        """The next update's batch; where its speech cannot be read, what was trained is saved.

        Raises:
            InputError: it cannot be read.
        """
        try:
            return next(batches)
        except InputError as error:
            self.save()
            raise InputError(
                f"{error}; update {len(self.history)} of {total} is kept in {self._work.path}, and "
                f"once this is mended {how_to_go_on()}"
            ) from error


def _refuse_divergence(groups: Sequence[ParameterGroup]) -> None:
    """Where the last update was too large; that of any other shows in the next one's loss."""
    if not all(one.isfinite().all() for group in groups for one in group.parameters):
        raise InputError("the last update left weights that are not finite; lower --learning-rate")


def history_tensor(history: Sequence[TrainingPoint]) -> Tensor:
    """[updates, fields], float64; NaN where a field was not measured. A safetensors file holds any
    number of them, while what is told in its header may not pass 100 MB."""
    rows = [[math.nan if one is None else one for one in astuple(point)] for point in history]
    return torch.tensor(rows, dtype=torch.float64).view(-1, len(_FIELDS))


def history_from_tensor(points: Tensor) -> list[TrainingPoint]:
    """`history_tensor`'s history."""
    told = [
        {name: one for name, one in zip(_FIELDS, row, strict=True) if not math.isnan(one)}
        for row in points.tolist()
    ]
    return [TrainingPoint(**{**one, "step": int(one["step"])}) for one in told]


def build_optimizer(groups: Sequence[ParameterGroup]) -> AdamW:
    """AdamW over the groups; `make_update` sets their learning rates."""
    settings = [{"params": one.parameters, "weight_decay": one.weight_decay} for one in groups]
    return AdamW(settings, fused=True)


def make_update(
    objective: Objective,
    groups: Sequence[ParameterGroup],
    optimizer: AdamW,
    batch: Batch,
    update: Update,
    recipe: Training,
) -> dict[str, Any]:
    """One update: gradients, clipping, the learning rates of this update, AdamW.

    Returns:
        Fields of `TrainingPoint`: what the objective told, and `learning_rate`.

    Raises:
        InputError: the loss is no longer finite, or there is too little memory; the parameters are
            as they were.
    """
    set_seed(random_state(recipe.seed, update))
    with explain_out_of_memory(_mended(batch, recipe)):
        told = objective.update(batch, update)
        parameters = [parameter for one in groups for parameter in one.parameters]
        told = {**told, "loss": all_reduce_gradients(parameters, told["loss"], batch.frames)}
    scheduled = [parameter for one in groups if one.scheduled for parameter in one.parameters]
    norm = torch.nn.utils.clip_grad_norm_(scheduled, recipe.max_grad_norm).item()
    if not math.isfinite(told["loss"]) or not math.isfinite(norm):
        raise InputError(
            f"the loss is {told['loss']}, its gradient's norm {norm} at update {update.index + 1}; "
            "lower --learning-rate, or look for broken audio in the training speech"
        )
    schedule = objective.lr_schedule(update)
    if schedule.reset_optimizer:
        optimizer.state.clear()
    for group, settings in zip(groups, optimizer.param_groups, strict=True):
        settings["lr"] = group.learning_rate * (schedule.lr_scale if group.scheduled else 1.0)
    with explain_out_of_memory(_mended(batch, recipe)):
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {**told, "learning_rate": recipe.learning_rate * schedule.lr_scale}


def _mended(batch: Batch, recipe: Training) -> str:
    """What to turn where memory does not suffice for an update."""
    if len(batch.ids) == 1:
        return (
            f"with utterance {batch.ids[0]} alone, {batch.seconds:.0f} s: cut what is as long, or "
            "leave it out"
        )
    return (
        f"with batches of {recipe.seconds_per_batch:g} s of audio: lower --seconds-per-batch (and "
        "raise --steps in step)"
    )


def random_state(seed: int, update: Update) -> int:
    """The state that all random numbers of an update start from; 32 bits, as NumPy wants it."""
    return (seed * 1_000_003 + update.index) % 2**32


def update_count(speech: TrainingSpeech, recipe: Training) -> int:
    """How many updates a recipe makes on this speech."""
    if recipe.steps is not None:
        return recipe.steps
    each = speech.updates_an_epoch(recipe.seconds_per_batch, recipe.seed)
    return max(1, round(recipe.epochs * each))


def warmup_linear_decay(update: Update, warmup: float) -> float:
    """Share of the peak learning rate: linear warm-up, linear decay to zero (xu2025, section
    VI)."""
    rising = max(1, round(warmup * update.total))
    falling = (update.total - update.index) / max(1, update.total - rising)
    return min((update.index + 1) / rising, falling, 1.0)


def _bar(console: Console) -> Progress:
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[told]}"),
    )
    return Progress(TextColumn("{task.description}"), *columns, console=console)


def _sentence(point: TrainingPoint, total: int) -> str:
    bits = f", {point.hard_bits:.2f} bits" if point.hard_bits is not None else ""
    return f"update {point.step} of {total}: dev WER {100 * (point.wer or 0):.2f}%{bits}"


@contextmanager
def _interruption() -> Iterator[Callable[[], bool]]:
    """Hold back Ctrl-C, or SIGTERM, until the update under way is done; a second acts at once.

    A launcher of several processes sends each a second one itself: it waits too.
    """
    asked: list[int] = []
    previous = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _: Any) -> None:
        asked.append(number)
        if is_single_process():
            as_before()

    def as_before() -> None:
        for one, handler in previous.items():
            signal.signal(one, handler)

    try:
        for one in previous:
            signal.signal(one, ask)
    except ValueError:  # not the main thread: the caller's own handling stays
        yield lambda: False
        return
    try:
        yield lambda: bool(asked)
    finally:
        as_before()


def prefixed_state(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """A module's tensors under a prefix, for `Saved`; one that two layers share stands once."""
    return {f"{prefix}.{name}": tensor for name, tensor in _tensors_once(module).items()}


def _tensors_once(module: nn.Module) -> dict[str, Tensor]:
    seen: set[tuple[int, torch.Size]] = set()
    tensors: dict[str, Tensor] = {}
    for name, tensor in module.state_dict().items():
        place = tensor.data_ptr(), tensor.shape
        if place not in seen or not tensor.numel():
            tensors[name] = tensor
        seen.add(place)
    return tensors


def restore_module(prefix: str, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put `prefixed_state` back.

    Raises:
        InputError: they are of a module with other parameters.
    """
    start = len(prefix) + 1
    own = {name[start:]: one for name, one in tensors.items() if name.startswith(prefix + ".")}
    try:
        if own.keys() != _tensors_once(module).keys():
            raise RuntimeError("other parameters")
        module.load_state_dict(own, strict=False)
    except RuntimeError as error:
        raise InputError(
            "the unfinished training was begun by another version of sottovoce, whose state this "
            "one cannot read; delete it and begin anew"
        ) from error
