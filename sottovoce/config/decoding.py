"""How a recogniser with an attention decoder is asked to write, and how its words are compared."""

from dataclasses import dataclass

from sottovoce.config.options import option, refuse_unknown_names
from sottovoce.errors import InputError

NORMALISERS = ("none", "basic", "english")
_MOST_BEAMS = 64


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """Options of decoding; what is None is as the checkpoint says. A CTC model has none of them.

    Raises:
        InputError: a value does not suit its option.
    """

    language: str | None = option(
        None, "language that a multilingual model writes, such as en or english"
    )
    task: str | None = option(
        None,
        "what a multilingual model writes: what was said, or its translation into English",
        allowed=("transcribe", "translate"),
    )
    beams: int = option(1, "width of an attention decoder's beam search; 1 is greedy")
    normaliser: str | None = option(
        None,
        "normaliser of both sides before words are compared, as the Open ASR Leaderboard uses "
        "Whisper's; english for models that write English, else basic, if not given",
        allowed=NORMALISERS,
    )

    def __post_init__(self) -> None:
        refuse_unknown_names(self)
        if not 1 <= self.beams <= _MOST_BEAMS:
            raise InputError(f"beams is {self.beams}; it must lie between 1 and {_MOST_BEAMS}")


AS_THE_CHECKPOINT_SAYS = Decoding()
