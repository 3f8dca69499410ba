"""One run: what it was begun with, who is at work on it, and the folder that it becomes.

Until all is done, everything is in OUT.unfinished. `settings.json` in it says what the run was
begun with, and nothing else makes a folder a run; `finished` is what becomes OUT.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from sottovoce.command import how_to_go_on
from sottovoce.errors import InputError
from sottovoce.files import publish, read_json, refuse_taken, remove_folder, write_text
from sottovoce.training.distributed import (
    is_main_process,
    main_process_first,
    process_state,
    wait_for_everyone,
)
from sottovoce.training.state import WorkFolder, locked
from sottovoce.version import __version__
from sottovoce.wording import plural

_SETTINGS = "settings.json"
_THREADS = "threads"


def unfinished(out: Path) -> Path:
    """Where a run that will make `out` keeps its state until then."""
    return out.with_name(out.name + ".unfinished")


class Run:
    """A run that will make the folder `out`.

    Of several processes that train together the leader alone locks and writes.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.path = unfinished(out)

    @property
    def finished(self) -> Path:
        """The folder to fill, which `publish` gives its name; what an earlier try left may be
        there."""
        return self.path / "finished"

    @property
    def work(self) -> WorkFolder:
        """Where the run's own stages keep their state."""
        return WorkFolder(self.path)

    @classmethod
    @contextmanager
    def open(
        cls,
        out: Path,
        inputs: Mapping[str, str],
        settings: Mapping[str, Any],
        *,
        resume: bool,
        console: Console,
    ) -> Iterator["Run"]:
        """Inside, this process and no other is at work on `out`: it is a new run, or goes on.

        On a CPU a run that goes on computes with as many threads as it began with, for others would
        add up in another order. One that ends before it has kept anything leaves nothing.

        Args:
            inputs: fingerprints of what the run reads.
            settings: what else determines it: a recipe, a plan. It goes on only from the same.
            resume: go on with a run that was interrupted, where there is one.

        Raises:
            InputError: `out` exists or cannot be written; another process is at work on it; or an
                unfinished run is there and `resume` was not asked, or it was begun with other
                inputs or settings.
        """
        run = cls(out)
        wanted = {"version of sottovoce": __version__, **inputs, **settings}
        wanted = json.loads(json.dumps(wanted))
        with ExitStack() as stack:
            with main_process_first():
                if is_main_process():
                    stack.enter_context(run._claimed(wanted, resume=resume))
            stack.enter_context(_as_many_threads(run._settings(), console))
            stack.enter_context(run.forgotten_while_empty())
            yield run

    @contextmanager
    def _claimed(self, wanted: Mapping[str, Any], *, resume: bool) -> Iterator[None]:
        refuse_taken(self.out)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{self.out} cannot be written: {error.strerror}; choose another --out"
            ) from error
        with locked(
            self.path,
            f"another process is at work on {self.out}; let it finish, or choose another --out",
        ):
            if (self.path / _SETTINGS).exists():
                self._refuse_other(wanted, resume=resume)
            else:
                self._begin(wanted)
            yield

    def _refuse_other(self, wanted: Mapping[str, Any], *, resume: bool) -> None:
        refuse_taken(self.out)
        if not resume:
            raise InputError(
                f"{self.path} holds an interrupted run: {how_to_go_on()} (or delete it)"
            )
        different = differing(self._settings(), wanted)
        if different:
            raise InputError(
                f"{self.path} was not started with the same {', '.join(different)}; "
                "resume with what it was started with or delete it"
            )

    def _begin(self, wanted: Mapping[str, Any]) -> None:
        if self._contents() - {"lock"}:
            raise InputError(
                f"{self.path} does not say what it was begun with; delete it, or choose another "
                "--out"
            )
        try:
            refuse_taken(self.out)  # the process that held the lock may just have finished
            settings = json.dumps({**wanted, _THREADS: torch.get_num_threads()}, indent=2)
            write_text(self.path / _SETTINGS, settings)
        except InputError:
            remove_folder(self.path)
            raise

    def _settings(self) -> dict[str, Any]:
        found: dict[str, Any] = read_json(
            self.path / _SETTINGS, f"delete {self.path} and begin anew"
        )
        return found

    def _contents(self) -> set[str]:
        return {path.name for path in self.path.iterdir()}

    @contextmanager
    def forgotten_while_empty(self, *and_with: str) -> Iterator[None]:
        """Where what is inside fails or is interrupted with nothing kept yet, the folder goes.

        Args:
            and_with: names of what goes with it where something given cannot be used: it would
                serve no other run, while one that was interrupted wants it again.
        """
        try:
            yield
        except BaseException as error:
            useless = and_with if isinstance(error, InputError) else ()
            kept_by_none = {_SETTINGS, "lock", *useless}
            if is_main_process() and self.path.exists() and self._contents() <= kept_by_none:
                remove_folder(self.path)
            raise

    def publish(self) -> None:
        """Make `finished` the folder `out`, whole or not at all; what is left of the run goes.

        Raises:
            InputError: `out` cannot be written.
        """
        if is_main_process():
            try:
                publish(self.finished, self.out)
            except OSError as error:
                raise InputError(
                    f"{self.out} cannot be written: {error.strerror}; the model is in "
                    f"{self.finished}"
                ) from error
            remove_folder(self.path)
        wait_for_everyone()


def differing(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The names under which two records of settings hold other values."""
    return [name for name in wanted if found.get(name) != wanted[name]]


@contextmanager
def _as_many_threads(settings: Mapping[str, Any], console: Console) -> Iterator[None]:
    """Inside, as many threads compute as when the run was begun, where it is a CPU that does."""
    now = torch.get_num_threads()
    begun = settings.get(_THREADS, now) if process_state().device.type == "cpu" else now
    if begun != now:
        console.out(f"computing with {plural(begun, 'thread')}, as the run was begun")
    torch.set_num_threads(begun)
    try:
        yield
    finally:
        torch.set_num_threads(now)
