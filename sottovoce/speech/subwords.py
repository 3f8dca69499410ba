"""Transcripts <-> CTC labels that are pieces of words, as Parakeet's tokenizer has them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from sottovoce.errors import InputError
from sottovoce.speech.labels import Labels, refuse_absurd_labels
from sottovoce.text.case import case_of
from sottovoce.text.punctuation import without_punctuation
from sottovoce.text.unicode_form import composed


@dataclass(frozen=True)
class SubwordLabels(Labels):
    """The map that a tokenizer of the `tokenizers` package makes; else as `Labels`.

    Attributes:
        tokenizer: cuts a transcript into pieces, and joins pieces to text.
    """

    tokenizer: PreTrainedTokenizerFast

    @classmethod
    def of_tokenizer(cls, tokenizer: PreTrainedTokenizerBase) -> "SubwordLabels":
        """Read a tokenizer's vocabulary.

        Raises:
            InputError: it has no padding token.
        """
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise TypeError(f"a {type(tokenizer).__name__} has no pieces of words")
        if tokenizer.pad_token_id is None:
            raise InputError(
                "the tokenizer has no padding token, which is CTC's blank; set its pad_token"
            )
        backend: Any = tokenizer.backend_tokenizer
        refuse_absurd_labels(tokenizer.get_vocab())
        silent = {*tokenizer.all_special_ids, tokenizer.pad_token_id}
        written = {
            label: "" if label in silent else backend.decode([label])
            for label in sorted(tokenizer.get_vocab().values())
        }
        return cls(
            written=written,
            blank=tokenizer.pad_token_id,
            case=case_of(one for piece in written.values() for one in piece),
            writes_lower_case=False,
            tokenizer=tokenizer,
        )

    def normalise(self, text: str, utterance: str = "") -> str:
        return self._joined(self.encode(text, utterance))

    def encode(self, text: str, utterance: str = "") -> list[int]:
        spelled = without_punctuation(self.case(composed(text)), self._characters)
        cut: Any = self.tokenizer(spelled, add_special_tokens=False, return_offsets_mapping=True)
        unknown = {one for one in spelled if one != " " and one not in self._characters}
        for label, (start, end) in zip(cut["input_ids"], cut["offset_mapping"], strict=True):
            if label == self.tokenizer.unk_token_id:
                unknown.update(spelled[start:end])
        if unknown:
            raise self._unwritable(unknown, utterance)
        return list(cut["input_ids"])

    def decode(self, frames: Iterable[int]) -> str:
        labels = (label for label, _ in groupby(map(int, frames)))
        return self._joined([label for label in labels if label in self._audible])

    def _joined(self, labels: Sequence[int]) -> str:
        backend: Any = self.tokenizer.backend_tokenizer
        return " ".join(composed(backend.decode(labels)).split())

    @property
    def pieces(self) -> tuple[str, ...]:
        backend: Any = self.tokenizer.backend_tokenizer
        before = min(self._audible)  # a piece says only behind another where a word begins
        start = len(backend.decode([before]))
        return tuple(
            backend.decode([before, label])[start:] if label in self._audible else ""
            for label in range(max(self.written) + 1)
        )

    @cached_property
    def _audible(self) -> frozenset[int]:
        """All labels but the blank and the other special tokens; one may write nothing alone."""
        silent = {*self.tokenizer.all_special_ids, self.blank}
        return frozenset(self.written.keys() - silent)


def labels_of(tokenizer: PreTrainedTokenizerBase) -> Labels:
    """The labels of a checkpoint's tokenizer: characters, or pieces of words.

    Raises:
        InputError: the tokenizer is of neither kind, or lacks what CTC needs.
    """
    if isinstance(tokenizer, PreTrainedTokenizerFast):
        return SubwordLabels.of_tokenizer(tokenizer)
    return Labels.of_tokenizer(tokenizer)
