"""Two systems compared: models, or hypotheses that were saved earlier."""

from pathlib import Path

from rich.console import Console

from sottovoce.errors import InputError
from sottovoce.models.checkpoint import load
from sottovoce.models.recogniser import best_device
from sottovoce.runtime.recognition import recognise, references
from sottovoce.scoring import MatchedPairs, Transcripts, matched_pairs, score
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus


def compare_systems(
    a: str | Path, b: str | Path, data: str | Path, console: Console | None = None
) -> MatchedPairs:
    """The matched-pairs test of candidate `b` against baseline `a` on the same utterances.

    Args:
        a, b: a model, or a `.trn` file of hypotheses.
        data: a corpus, or a `.trn` file of references where both systems are `.trn` files.

    Raises:
        InputError: something cannot be read, or the utterances differ.
    """
    hypotheses: list[Transcripts] = []
    reference = Transcripts.read_trn(Path(data)) if _is_trn(data) else None
    for system in (a, b):
        if _is_trn(system):
            hypotheses.append(Transcripts.read_trn(Path(system)))
            continue
        if reference is not None and _is_trn(data):
            raise InputError(f"{system} is a model, so --data must be speech, not {data}")
        recogniser, corpus = load(system).to(best_device()), read_corpus(data)
        own = references(recogniser, corpus)
        if reference is not None and own.utterances != reference.utterances:
            raise InputError(f"{a} and {b} write in different characters or case: no fair test")
        reference = own
        hypotheses.append(
            recognise(recogniser, corpus, name=str(system), console=console).transcripts
        )
    if reference is None:
        reference = _as_written(read_corpus(data))
    baseline, candidate = (score(reference, hypothesis) for hypothesis in hypotheses)
    return matched_pairs(baseline, candidate)


def _as_written(corpus: Corpus) -> Transcripts:
    """The corpus's transcripts word for word: without a model nothing says how to normalise."""
    words = {one.id: (one.speaker, tuple(one.text.split())) for one in corpus.utterances}
    return Transcripts("reference", words)


def _is_trn(name: str | Path) -> bool:
    return str(name).endswith(".trn")
