"""An exported folder: the model for another program, its processor, and how to use them.

| file                | holds                                                                   |
|---------------------|-------------------------------------------------------------------------|
| model.*             | the graph and its packed weights, as the target has them                |
| export.json         | target, model type and `Interface`                                      |
| probe.safetensors   | a waveform and its logits, for `Probe`                                  |
| README.md           | how to run it without sottovoce                                         |
| the rest            | the processor's files                                                   |
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import get_origin

from sottovoce.errors import InputError
from sottovoce.exporters.example import readme
from sottovoce.exporters.probe import Probe
from sottovoce.exporters.targets import TARGETS, check_target
from sottovoce.files import new_folder
from sottovoce.graph.interface import Interface
from sottovoce.loading import EXPORT_FACTS
from sottovoce.models.recogniser import Recogniser
from sottovoce.reading import read_json


def write_export(recogniser: Recogniser, target: str, folder: Path) -> tuple[str, ...]:
    """Write a recogniser for another program, as `new_export` does.

    Returns:
        What its user should know of it.
    """
    with new_export(recogniser, target, folder) as (_, notes):
        return notes


@contextmanager
def new_export(
    recogniser: Recogniser, target: str, folder: Path
) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Gives an exported folder to try; it gets its name when left without an error, or never.

    Args:
        target: one of `TARGETS`.
        folder: must not exist.

    Yields:
        Where it is for now, and what its user should know of it.

    Raises:
        InputError: no such target, the folder exists or cannot be written, a layer cannot be
            expressed, or a package is missing.
    """
    check_target(target)
    size = sum(one.nbytes for one in recogniser.model.state_dict().values())
    interface = Interface.of(recogniser)
    facts = {"target": target, "model_type": recogniser.family.model_type, **asdict(interface)}
    with new_folder(folder, size) as partial:
        notes = TARGETS[target].write(recogniser, partial)
        recogniser.processor.save_pretrained(partial)
        Probe.of(recogniser).write(partial)
        (partial / EXPORT_FACTS).write_text(
            json.dumps(facts, indent=1, ensure_ascii=False), "utf-8"
        )
        (partial / "README.md").write_text(readme(target, interface), "utf-8")
        yield partial, notes


def read_facts(folder: Path) -> tuple[str, str, Interface]:
    """Target, model type and interface of an exported folder.

    Raises:
        InputError: the folder is damaged.
    """
    try:
        facts = read_json(folder / EXPORT_FACTS)
        if not isinstance(facts, dict):
            raise TypeError("it is no JSON object")
        target, model_type = facts.pop("target"), facts.pop("model_type")
        interface = Interface(**{**facts, "written": tuple(facts["written"])})
        for spec in fields(Interface):
            kind, value = get_origin(spec.type) or spec.type, getattr(interface, spec.name)
            if type(value) is not kind:
                raise TypeError(f"{spec.name} is {value!r}")
        interface.check()
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder / EXPORT_FACTS} is damaged: {error}; export the model again"
        ) from error
    return target, model_type, interface
