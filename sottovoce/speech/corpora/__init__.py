"""Corpora from disk: each module of this folder reads one kind; a new kind is a new module."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from sottovoce.errors import AudioError, InputError
from sottovoce.files import refuse_missing
from sottovoce.speech.audio import check_utterance
from sottovoce.speech.corpus import Corpus, Source, Speech, SpeechPath
from sottovoce.speech.utterance import Utterance

_THREADS = 8


def read_corpus(path: SpeechPath, *, transcribed: bool = True) -> Corpus:
    """Read the corpus at a path, whatever its kind, and see that all of its audio can be read.

    Args:
        path: where it is; a `Speech` may say that utterances with broken audio are left out. Their
            number is then part of the corpus's name, which every report shows.
        transcribed: whether every utterance must have a transcript.

    Raises:
        InputError: the path does not exist, is no known kind of corpus, has no utterances, or
            cannot be read; the message names the file and, where there is one, the line. Audio
            that cannot be read is listed whole.
    """
    speech = path if isinstance(path, Speech) else Speech(path)
    path = Path(speech)
    refuse_missing(path)
    for source in sources():
        if source.recognises(path):
            return _readable(path, list(source.read(path, transcribed)), speech.skip_broken)
    known = "; ".join(source.description for source in sources())
    raise InputError(f"{path} is not a corpus of a known kind, which are: {known}")


def _readable(path: Path, read: list[Utterance | AudioError], skip_broken: bool) -> Corpus:
    """What can be read of a corpus.

    Raises:
        InputError: it is empty, or something cannot be read and may not be skipped.
    """
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="checking audio") as pool:
        checked = list(pool.map(_checked, read))
    sound = tuple(result for result in checked if isinstance(result, Utterance))
    broken = [str(result) for result in checked if isinstance(result, AudioError)]
    if not checked:
        raise InputError(f"{path} has no utterances")
    if broken and (not skip_broken or not sound):
        mend = "mend them" if skip_broken else "mend them, or leave them out with --skip-broken"
        raise InputError(
            f"{path}: the audio of {len(broken):,} of {len(checked):,} utterances cannot be read; "
            f"{mend}: {'; '.join(broken)}"
        )
    name = _name(path)
    if broken:
        name += f" ({len(broken):,} of {len(checked):,} utterances left out: broken audio)"
    return Corpus(name, sound)


def _checked(result: Utterance | AudioError) -> Utterance | AudioError:
    if isinstance(result, AudioError):
        return result
    try:
        check_utterance(result)
    except AudioError as error:
        return error
    return result


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
