"""How a recogniser writes that writes any text, punctuation and case included."""

from dataclasses import dataclass

from sottovoce.text.normalisers import Normaliser
from sottovoce.text.unicode_form import composed


@dataclass(frozen=True)
class FreeText:
    """Texts are compared after a normaliser; no character is refused.

    Attributes:
        normaliser: its name, for reports.
        normalised: what it does.
    """

    normaliser: str
    normalised: Normaliser

    def normalise(self, text: str, utterance: str = "") -> str:  # noqa: ARG002
        return " ".join(self.words(text))

    def words(self, text: str) -> tuple[str, ...]:
        return tuple(self.normalised(composed(text)).split())
