"""Transcripts <-> CTC labels, by the tokenizer a checkpoint brings."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from typing import Protocol

import numpy as np
from transformers import PreTrainedTokenizerBase, Wav2Vec2CTCTokenizer

from sottovoce.errors import InputError
from sottovoce.text.case import case_of, is_turkic, lower, reads_turkic
from sottovoce.text.punctuation import without_punctuation
from sottovoce.text.unicode_form import composed

NO_NORMALISER = "none"
HIGHEST_LABEL = 1 << 20
"""More than any vocabulary has; what is made of a label's number must stay small."""


class Vocabulary(Protocol):
    """How a recogniser writes, and how what it wrote is compared with a transcript."""

    @property
    def normaliser(self) -> str:
        """Name of what both sides go through before words are compared."""
        ...

    def normalise(self, text: str, utterance: str = "") -> str:
        """A transcript as the recogniser would write it, words with a space between them.

        Args:
            utterance: whose transcript it is, for the message.

        Raises:
            InputError: it has characters that the recogniser cannot write.
        """
        ...

    def words(self, text: str) -> tuple[str, ...]:
        """Words of what the recogniser wrote, as they are compared with a transcript's."""
        ...


@dataclass(frozen=True)
class Labels:
    """The two-way map between transcripts and a checkpoint's CTC outputs.

    Attributes:
        written: label -> what it writes: a letter or several, a space for the word delimiter,
            nothing for the blank and the other special tokens.
        blank: the label of CTC's blank, which is the tokenizer's padding token.
        case: takes a transcript to the letters' case in the vocabulary.
        writes_lower_case: whether what is decoded is lower-cased at the end (`do_lower_case`).
    """

    written: Mapping[int, str]
    blank: int
    case: Callable[[str], str]
    writes_lower_case: bool

    @property
    def normaliser(self) -> str:
        """None: a transcript takes the vocabulary's form, and what is decoded has it."""
        return NO_NORMALISER

    @classmethod
    def of_tokenizer(cls, tokenizer: PreTrainedTokenizerBase) -> "Labels":
        """Read a tokenizer's vocabulary.

        Raises:
            InputError: it is no `Wav2Vec2CTCTokenizer`, or lacks a padding token or a word
                delimiter.
        """
        if not isinstance(tokenizer, Wav2Vec2CTCTokenizer):
            raise InputError(
                f"the checkpoint's tokenizer is a {type(tokenizer).__name__}; "
                f"CTC needs a Wav2Vec2CTCTokenizer"
            )
        delimiter = _word_delimiter(tokenizer)
        if tokenizer.pad_token not in tokenizer.encoder:
            raise InputError(
                f"the vocabulary has no padding token {tokenizer.pad_token!r}, which is CTC's "
                f"blank; add it to vocab.json"
            )
        written = dict.fromkeys(tokenizer.all_special_tokens, "") | {delimiter: " "}
        refuse_absurd_labels(tokenizer.get_vocab())
        _refuse_shared_labels(tokenizer.encoder)
        labels = sorted(set(tokenizer.get_vocab().values()))
        tokens = {label: str(tokenizer.convert_ids_to_tokens(label)) for label in labels}
        # Of two labels that write the same the last is learnt: a space is the delimiter's.
        tokens[tokenizer.encoder[delimiter]] = tokens.pop(tokenizer.encoder[delimiter])
        return cls(
            written={label: _text(written.get(token, token)) for label, token in tokens.items()},
            blank=tokenizer.pad_token_id,
            case=case_of(token for token in tokens.values() if len(token) == 1),
            writes_lower_case=tokenizer.do_lower_case,
        )

    def normalise(self, text: str, utterance: str = "") -> str:
        """The transcript as `decode` would write it, which is what a reference must look like.

        Case becomes the vocabulary's, Unicode NFC, every run of whitespace one space, every
        apostrophe the vocabulary's. Punctuation that the vocabulary lacks becomes a space, an
        apostrophe nothing.

        Args:
            utterance: whose transcript it is, for the message.

        Raises:
            InputError: it has letters, digits or symbols that are not in the vocabulary.
        """
        spelled = composed(self._spelled(text, utterance))
        return self._lowered(spelled) if self.writes_lower_case else spelled

    def words(self, text: str) -> tuple[str, ...]:
        """Words of what was decoded, as they are."""
        return tuple(text.split())

    def encode(self, text: str, utterance: str = "") -> list[int]:
        """The labels of a transcript, normalised first; the longest token is taken at each place.

        Raises:
            InputError: as `normalise`.
        """
        spelled = self._spelled(text, utterance)
        return [self._label_of[token] for token in self._token.findall(spelled)]

    def decode(self, frames: Iterable[int]) -> str:
        """The transcript of the best label of each frame: repeats collapsed, blanks dropped.

        As the tokenizer's own `decode`, except that special tokens other than the blank are
        dropped too and not spelled out, and that letters are composed (Unicode NFC).
        """
        labels = (label for label, _ in groupby(map(int, frames)))
        text = composed("".join(self.written.get(label, "") for label in labels))
        return self._lowered(text.strip()) if self.writes_lower_case else text.strip()

    @property
    def highest(self) -> int:
        """The highest label that CTC uses; special tokens may have higher ones."""
        return max(label for label, text in self.written.items() if text or label == self.blank)

    @property
    def pieces(self) -> tuple[str, ...]:
        """What each label, from 0 on, adds to a text.

        Joined, with single spaces, they are the transcript.
        """
        texts = (self.written.get(label, "") for label in range(max(self.written) + 1))
        return tuple(self._lowered(text) if self.writes_lower_case else text for text in texts)

    def greedy(self, logits: np.ndarray) -> str:
        """The transcript of the best label of each frame.

        Args:
            logits: [frames, labels].
        """
        return self.decode(logits.argmax(1).tolist())

    def _spelled(self, text: str, utterance: str) -> str:
        spelled = without_punctuation(self.case(composed(text)), self._characters)
        if unknown := set(self._token.sub("", spelled)):
            raise self._unwritable(unknown, utterance)
        return spelled

    def _unwritable(self, unknown: Iterable[str], utterance: str) -> InputError:
        place = f" of utterance {utterance!r}" if utterance else ""
        return InputError(
            f"the transcript{place} has {_listed(unknown)}, which the model's vocabulary "
            f"cannot write; spell it out or leave the utterance out"
        )

    def _lowered(self, text: str) -> str:
        return lower(text, turkic=self._is_turkic)

    @cached_property
    def _is_turkic(self) -> bool:
        return is_turkic(self._characters)

    @cached_property
    def _label_of(self) -> Mapping[str, int]:
        return {text: label for label, text in self.written.items() if text}

    @cached_property
    def _characters(self) -> frozenset[str]:
        return frozenset("".join(self._label_of))

    @cached_property
    def _token(self) -> re.Pattern[str]:
        longest_first = sorted(self._label_of, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)))


def _word_delimiter(tokenizer: Wav2Vec2CTCTokenizer) -> str:
    """The token between words. Raises InputError where the vocabulary has none.

    transformers 5 reads it from tokenizer_config.json into the map of special tokens alone.
    """
    delimiter = tokenizer.special_tokens_map.get("word_delimiter_token") or "|"
    for token in (str(delimiter), " "):
        if token in tokenizer.encoder:
            return token
    raise InputError(
        f"the vocabulary has no word delimiter {str(delimiter)!r}; name its token that stands "
        "between words as word_delimiter_token in tokenizer_config.json"
    )


def _text(token: str) -> str:
    """What a token writes; a line's end in it would break the lines of transcripts."""
    return composed(re.sub(r"\s", " ", token))


def refuse_absurd_labels(vocabulary: Mapping[str, object]) -> None:
    """Raises InputError where a token's label is no number that a vocabulary has."""
    for token, label in vocabulary.items():
        if type(label) is not int or not 0 <= label < HIGHEST_LABEL:
            raise InputError(
                f"vocab.json (or tokenizer.json) has the id {label!r} for {token!r}; ids are whole "
                f"numbers from 0 to below {HIGHEST_LABEL:,}"
            )


def _refuse_shared_labels(vocabulary: Mapping[str, int]) -> None:
    """Raises InputError where two tokens have one label: only one of them could be written."""
    first: dict[int, str] = {}
    for token, label in vocabulary.items():
        if label in first:
            raise InputError(
                f"vocab.json has the id {label} for both {first[label]!r} and {token!r}; give each "
                "its own"
            )
        first[label] = token


def least_frames(labels: Sequence[int]) -> int:
    """The fewest frames that can carry the labels: CTC needs a blank between two equal ones."""
    return len(labels) + sum(first == second for first, second in pairwise(labels))


def new_vocabulary(texts: Iterable[str]) -> dict[str, int]:
    """A vocabulary of the lower-case characters in some transcripts, for a new CTC head.

    Returns:
        Token -> label, as `vocab.json` has it: "<pad>" (the blank), "<unk>", "|", then the
        characters in order.

    Raises:
        InputError: there is no letter, or a symbol that stands for a word (such as % or $).
    """
    transcripts = [composed(text) for text in texts]
    turkic = reads_turkic("".join(transcripts))
    characters: set[str] = set()
    for text in transcripts:
        characters.update(without_punctuation(lower(text, turkic=turkic), known="'"))
    characters.discard(" ")
    symbols = {
        one for one in characters if one != "'" and unicodedata.category(one)[0] not in "LMN"
    }
    if symbols:
        raise InputError(f"the transcripts have {_listed(symbols)}; spell such symbols out")
    if not characters:
        raise InputError("the transcripts have no letters to make a vocabulary of")
    return {
        token: label for label, token in enumerate(("<pad>", "<unk>", "|", *sorted(characters)))
    }


def _listed(characters: Iterable[str]) -> str:
    return ", ".join(repr(one) for one in sorted(characters))
