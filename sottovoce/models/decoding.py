"""How a recogniser with an attention decoder is asked to write, and how its words are compared."""

from dataclasses import dataclass

from sottovoce.errors import InputError
from sottovoce.text.normalisers import NORMALISERS

TASKS = ("transcribe", "translate")


@dataclass(frozen=True)
class Decoding:
    """Options of decoding; what is None is as the checkpoint's generation_config says.

    Attributes:
        language: of a multilingual model, as its tokenizer names it ("en" or "english").
        task: of a multilingual model, one of `TASKS`.
        beams: width of the beam search; 1 is greedy.
        normaliser: one of `NORMALISERS`, applied to both sides before words are compared; None
            takes the head's own.

    Raises:
        InputError: a value is none of these.
    """

    language: str | None = None
    task: str | None = None
    beams: int = 1
    normaliser: str | None = None

    def __post_init__(self) -> None:
        if self.task not in (None, *TASKS):
            raise InputError(f"the task is {self.task!r}; it must be one of {TASKS}")
        if not 1 <= self.beams <= 64:
            raise InputError(f"beams is {self.beams}; it must lie between 1 and 64")
        if self.normaliser not in (None, *NORMALISERS):
            raise InputError(
                f"the normaliser is {self.normaliser!r}; it must be one of {tuple(NORMALISERS)}"
            )
