"""The names of runtimes, apart from what runs: flags list them and load nothing for that."""

from sottovoce.errors import InputError

AUTO = "auto"
TORCH = "torch"
CHOICES = (
    *(AUTO, TORCH, "torch-compiled"),
    *("openvino", "onnx", "onnx-nbits", "openvino-bf16"),
)
"""What `engines.engine_of` takes."""


def check_runtime(name: str) -> None:
    """Raises InputError where it is none of `CHOICES`."""
    if name not in CHOICES:
        raise InputError(f"runtime is {name!r}; it must be one of {', '.join(CHOICES)}")
