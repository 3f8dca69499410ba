"""Transcripts of many utterances, and sclite's `.trn` files of them.

A line is `WORDS (SPEAKER-UTTERANCE)`; the first hyphen ends the speaker, who is left empty where
unknown. Characters that would break such a line are written as percent escapes, UTF-8 byte by byte
("two words" becomes `two%20words`), and read back; so is the hyphen within a speaker's name, and so
are sclite's marks in words (`{`, `}`, a lone `@`, a first `;;`).
Blank lines and comments (`;;`) are passed over.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote

from sottovoce.errors import InputError
from sottovoce.files import write_text
from sottovoce.reading import read_text
from sottovoce.text.unicode_form import canonical, composed

Utterance = tuple[str, tuple[str, ...]]
"""(speaker, words); the speaker is empty where unknown."""

_LINE = re.compile(r"(?P<words>.*)\((?P<speaker>[^\s()-]*)-(?P<id>[^\s()]+)\)\s*", re.DOTALL)
_UNSAFE_IN_ID = re.compile(r'[\s()%"{}]')
_UNSAFE_IN_SPEAKER = re.compile(r'[\s()%"{}-]')
_ALTERNATIVES = re.compile(r"[{}]|^@$")
_ESCAPED_MARK = re.compile("%(?:7B|7D|40|3B)")
_COMMENT = ";;"


@dataclass(frozen=True)
class Transcripts:
    """The words that were said, or recognised, in each utterance.

    All of it is brought to one Unicode form, whichever program wrote it.

    Attributes:
        name: what messages and reports call it.
        utterances: utterance id -> (speaker, words), in order.

    Raises:
        InputError: two ids are the same but for their Unicode form.
    """

    name: str
    utterances: Mapping[str, Utterance]

    def __post_init__(self) -> None:
        utterances: dict[str, Utterance] = {}
        for utterance, (speaker, words) in self.utterances.items():
            if composed(utterance) in utterances:
                raise InputError(
                    f"{self.name}: two utterances are called {utterance!r}, in two forms of "
                    "Unicode; give each an id of its own"
                )
            utterances[composed(utterance)] = (composed(speaker), _canonical(words))
        object.__setattr__(self, "utterances", MappingProxyType(utterances))

    @classmethod
    def read_trn(cls, path: Path) -> "Transcripts":
        """Read a `.trn` file; it gives the transcripts their name.

        The utterance ids are what stands between the first hyphen and the bracket. Where two
        speakers share such an id, the ids are the whole `SPEAKER-UTTERANCE` in all of the file.

        Raises:
            InputError: the file cannot be read, a line does not end in `(SPEAKER-UTTERANCE)` or
                holds sclite's marks for alternatives, or a speaker's utterance occurs twice.
        """
        lines: dict[tuple[str, str], tuple[str, ...]] = {}
        for number, line in enumerate(read_text(path).split("\n"), start=1):
            if not line.strip() or line.lstrip().startswith(_COMMENT):
                continue
            speaker, utterance, words = _parsed(line, f"{path}, line {number}")
            if (speaker, utterance) in lines:
                raise InputError(
                    f"{path}, line {number}: speaker {speaker!r} has utterance {utterance!r} a "
                    f"second time; keep one of the two lines"
                )
            lines[speaker, utterance] = words
        speakers_of = Counter(utterance for _, utterance in lines)
        unique = all(speakers == 1 for speakers in speakers_of.values())
        return cls(
            path.name,
            {
                utterance if unique else f"{speaker}-{utterance}": (speaker, words)
                for (speaker, utterance), words in lines.items()
            },
        )

    def write_trn(self, path: Path) -> None:
        """Write a `.trn` file that `read_trn` and sclite read.

        Raises:
            InputError: the file cannot be written, or an utterance's words or id cannot stand in
                such a file.
        """
        lines = [
            _line(utterance, speaker, words, path)
            for utterance, (speaker, words) in self.utterances.items()
        ]
        write_text(path, "".join(f"{line}\n" for line in lines))


def _canonical(words: tuple[str, ...]) -> tuple[str, ...]:
    if all(map(str.isascii, words)):
        return words
    return tuple(word for word in map(canonical, words) if word)


def _parsed(line: str, where: str) -> tuple[str, str, tuple[str, ...]]:
    """Speaker, utterance and words of a line."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise InputError(
            f"{where} does not end in (SPEAKER-UTTERANCE); write (-UTTERANCE) where the speaker "
            f"is unknown"
        )
    words = tuple(match["words"].split())
    for word in words:
        if _ALTERNATIVES.search(word):
            raise InputError(
                f"{where} holds {word!r}, sclite's mark for alternatives, which are not "
                f"supported; keep one wording"
            )
    try:
        return (
            unquote(match["speaker"], errors="strict"),
            unquote(match["id"], errors="strict"),
            tuple(_ESCAPED_MARK.sub(lambda mark: unquote(mark[0]), word) for word in words),
        )
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: the percent escapes of its id are not UTF-8") from error


def _line(utterance: str, speaker: str, words: tuple[str, ...], path: Path) -> str:
    if not utterance:
        raise InputError(f"{path} cannot be written: an utterance has an empty id; give it one")
    for word in words:
        if not word or word.split() != [word] or _ESCAPED_MARK.search(word):
            raise InputError(
                f"{path} cannot be written: utterance {utterance!r} holds the word {word!r}, which "
                f"is empty, holds whitespace or would be read back as another; mend it"
            )
    written = [_escaped(word, _ALTERNATIVES) for word in words]
    if words and words[0].startswith(_COMMENT):
        written[0] = "%3B" + written[0][1:]
    ids = f"({_escaped(speaker, _UNSAFE_IN_SPEAKER)}-{_escaped(utterance, _UNSAFE_IN_ID)})"
    line = " ".join((*written, ids))
    try:
        line.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{path} cannot be written: utterance {utterance!r} holds {line[error.start]!r}, which "
            f"UTF-8 has no form for; mend it"
        ) from error
    return line


def _escaped(text: str, unsafe: re.Pattern[str]) -> str:
    return unsafe.sub(
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8")), text
    )
