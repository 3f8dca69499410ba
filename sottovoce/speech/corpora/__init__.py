"""Corpora from disk: each module of this folder reads one kind; a new kind is a new module."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from sottovoce.errors import InputError
from sottovoce.files import refuse_missing
from sottovoce.speech.corpus import Corpus, Source


def read_corpus(path: Path | str, *, transcribed: bool = True) -> Corpus:
    """Read the corpus at a path, whatever its kind.

    Args:
        transcribed: whether every utterance must have a transcript.

    Raises:
        InputError: the path does not exist, is no known kind of corpus, has no utterances, or
            cannot be read; the message names the file and, where there is one, the line.
    """
    path = Path(path)
    refuse_missing(path)
    for source in sources():
        if source.recognises(path):
            utterances = source.read(path, transcribed)
            if not utterances:
                raise InputError(f"{path} has no utterances")
            return Corpus(_name(path), utterances)
    known = "; ".join(source.description for source in sources())
    raise InputError(f"{path} is not a corpus of a known kind, which are: {known}")


def sources() -> Iterator[Source]:
    """Every kind of corpus, by the name of its module."""
    for module in iter_modules(__path__):
        yield import_module(f"{__name__}.{module.name}").SOURCE


def _name(path: Path) -> str:
    """The last two parts, without suffix: "commands/dev" says more than "dev"."""
    whole = path.resolve()
    last = whole.name
    for suffix in (".gz", ".json", ".jsonl"):
        last = last.removesuffix(suffix)
    return f"{whole.parent.name}/{last}"
