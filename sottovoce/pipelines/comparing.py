"""Two systems compared: whatever an engine runs, or hypotheses that were saved earlier."""

from pathlib import Path

from rich.console import Console

from sottovoce.errors import InputError
from sottovoce.runtime.engines import AUTO, engine_of
from sottovoce.runtime.recognition import recognise, references
from sottovoce.scoring import MatchedPairs, Transcripts, matched_pairs, score
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus


def compare_systems(
    a: str | Path,
    b: str | Path,
    data: str | Path,
    console: Console | None = None,
    *,
    runtime: str = AUTO,
) -> MatchedPairs:
    """The matched-pairs test of candidate `b` against baseline `a` on the same utterances.

    Example:
        ```python
        test = sottovoce.compare("start", "small", "dev.jsonl")
        print(test.verdict, test.interval, test.sentence)
        ```

    Args:
        a, b: a model as `evaluate` takes it, or a `.trn` file of hypotheses.
        data: a corpus, or a `.trn` file of references where both systems are `.trn` files.
        runtime: of the models, as `engine_of` takes it.

    Raises:
        InputError: something cannot be read, the utterances differ, the runtime cannot run a
            model, or there is no model for it to run; or a system's words are those of the
            references in another case, so that all would count as errors.
    """
    if runtime != AUTO and _is_trn(a) and _is_trn(b):
        raise InputError("a runtime runs models, and both systems are .trn files; leave it out")
    hypotheses: list[Transcripts] = []
    reference = Transcripts.read_trn(Path(data)) if _is_trn(data) else None
    for system in (a, b):
        if _is_trn(system):
            hypotheses.append(Transcripts.read_trn(Path(system)))
            continue
        if reference is not None and _is_trn(data):
            raise InputError(f"{system} is a model, so --data must be speech, not {data}")
        engine, corpus = engine_of(system, runtime), read_corpus(data)
        own = references(engine, corpus)
        if reference is not None and own.utterances != reference.utterances:
            raise InputError(f"{a} and {b} write in different characters or case: no fair test")
        reference = own
        hypotheses.append(recognise(engine, corpus, name=str(system), console=console).transcripts)
    if reference is None:
        reference = _as_written(read_corpus(data))
    for system, hypothesis in zip((a, b), hypotheses, strict=True):
        _refuse_another_case(system, hypothesis, reference)
    baseline, candidate = (score(reference, hypothesis) for hypothesis in hypotheses)
    return matched_pairs(baseline, candidate)


def _as_written(corpus: Corpus) -> Transcripts:
    """The corpus's transcripts word for word: without a model nothing says how to normalise."""
    words = {one.id: (one.speaker, tuple(one.text.split())) for one in corpus.utterances}
    return Transcripts("reference", words)


def _refuse_another_case(
    system: str | Path, hypothesis: Transcripts, reference: Transcripts
) -> None:
    """Where no word is that of a reference, but some are in another case."""
    heard, said = (
        {word for _, words in one.utterances.values() for word in words}
        for one in (hypothesis, reference)
    )
    folded = {word.casefold() for word in said}
    if heard.isdisjoint(said) and any(word.casefold() in folded for word in heard):
        raise InputError(
            f"{system} writes in another case than the references, so that every word would count "
            "as an error; give as --data the reference.trn that evaluate --out wrote beside it"
        )


def _is_trn(name: str | Path) -> bool:
    return str(name).endswith(".trn")
