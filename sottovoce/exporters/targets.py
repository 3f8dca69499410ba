"""Where a recogniser can go: each target is a module with a function that fills a folder."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sottovoce.errors import InputError

if TYPE_CHECKING:
    from sottovoce.models.recogniser import Recogniser


@dataclass(frozen=True)
class Target:
    """One of them.

    Attributes:
        writer: module and function, (recogniser, folder) -> notes.
        extra: what `pip install 'sottovoce[...]'` must have installed.
    """

    writer: str
    extra: str

    def write(self, recogniser: Recogniser, folder: Path) -> tuple[str, ...]:
        """Fill a folder.

        Returns:
            What its user should know of it.

        Raises:
            InputError: a package is missing, or a layer cannot be expressed.
        """
        module, function = self.writer.split(":")
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise InputError(
                f"{error.name} is not installed; pip install 'sottovoce[{self.extra}]'"
            ) from error
        notes: tuple[str, ...] = getattr(found, function)(recogniser, folder)
        return notes


TARGETS = {
    "onnx": Target("sottovoce.exporters.onnx_target:write_onnx", "onnx"),
    "onnx-nbits": Target("sottovoce.exporters.onnx_target:write_onnx_nbits", "onnx"),
    "openvino": Target("sottovoce.exporters.openvino_target:write_openvino", "openvino"),
    "compressed-tensors": Target(
        "sottovoce.exporters.compressed_tensors:write_compressed_tensors", "compressed-tensors"
    ),
}


def check_target(name: str) -> None:
    """Raises InputError where it is none of `TARGETS`."""
    if name not in TARGETS:
        raise InputError(f"there is no target {name!r}; choose of {', '.join(TARGETS)}")
