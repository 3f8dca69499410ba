"""Two systems compared: whatever an engine runs, or hypotheses that were saved earlier."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sottovoce.config.decoding import Decoding
from sottovoce.errors import InputError, prefix_errors
from sottovoce.runtime.choices import AUTO
from sottovoce.runtime.engines import engine_of
from sottovoce.runtime.recognition import recognise, references
from sottovoce.scoring import MatchedPairs, Transcripts, matched_pairs, score
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus, SpeechPath
from sottovoce.text.case import case_of
from sottovoce.text.punctuation import is_punctuation, without_punctuation
from sottovoce.text.unicode_form import composed

_CONVENTIONS = {
    "capitals": str.isupper,
    "small letters": str.islower,
    "punctuation": is_punctuation,
}


def compare_systems(
    a: str | Path,
    b: str | Path,
    data: SpeechPath,
    console: Console | None = None,
    *,
    runtime: str = AUTO,
    decoding: Decoding | None = None,
) -> MatchedPairs:
    """The matched-pairs test of candidate `b` against baseline `a` on the same utterances.

    Example:
        ```python
        test = sottovoce.compare("start", "small", "dev.jsonl")
        print(test.verdict, test.interval, test.sentence)
        ```

    Args:
        a, b: a model as `evaluate` takes it, or a `.trn` file of hypotheses.
        data: a corpus, or a `.trn` file of references where both systems are `.trn` files. Of a
            corpus, case and punctuation are brought to what the systems write; a `.trn` file is
            taken word for word.
        runtime, decoding: of the models, as `engine_of` takes them.

    Raises:
        InputError: something cannot be read, the utterances differ, the runtime cannot run a
            model, or there is no model for it to run; or a system's words are those of the
            references in another case or with other punctuation, and would count as errors.
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
        engine, corpus = engine_of(system, runtime, decoding), read_corpus(data)
        own = references(engine, corpus)
        if reference is not None and own.utterances != reference.utterances:
            raise InputError(f"{a} and {b} write in different characters or case: no fair test")
        reference = own
        hypotheses.append(recognise(engine, corpus, name=str(system), console=console).transcripts)
    if reference is None:
        with prefix_errors(str(data)):
            reference = _as_the_systems_write(read_corpus(data), hypotheses)
    for system, hypothesis in zip((a, b), hypotheses, strict=True):
        _refuse_another_spelling(system, hypothesis, reference)
    baseline, candidate = (score(reference, hypothesis) for hypothesis in hypotheses)
    return matched_pairs(baseline, candidate)


def _as_the_systems_write(corpus: Corpus, hypotheses: Sequence[Transcripts]) -> Transcripts:
    """The corpus's transcripts in the characters of the hypotheses.

    `references` brings them to what the model's vocabulary can write; without a model the
    hypotheses show it.
    """
    characters = frozenset("".join(map(_text, hypotheses)))
    case = case_of(characters)
    words = {
        one.id: (
            one.speaker,
            tuple(without_punctuation(case(composed(one.text)), characters).split()),
        )
        for one in corpus.utterances
    }
    return Transcripts("reference", words)


def _refuse_another_spelling(
    system: str | Path, hypothesis: Transcripts, reference: Transcripts
) -> None:
    """Where one of the two has no capitals, no small letters or no punctuation at all, the other
    has, and most of the errors come from that."""
    differing = [
        what
        for what, occurs in _CONVENTIONS.items()
        if any(map(occurs, _text(hypothesis))) is not any(map(occurs, _text(reference)))
    ]
    if not differing or not _text(hypothesis).strip() or not _text(reference).strip():
        return
    errors = score(reference, hypothesis).errors
    if errors and 2 * _errors_of_plain_words(reference, hypothesis) <= errors:
        raise InputError(
            f"{system} writes in another case or with other punctuation than the references (only "
            f"one of them has {' and '.join(differing)}), so that the same words would count as "
            "errors; give as --data the reference.trn that evaluate --out wrote beside it"
        )


def _errors_of_plain_words(reference: Transcripts, hypothesis: Transcripts) -> int:
    """Errors that are left without regard to case and punctuation."""
    plain = [
        Transcripts(
            each.name,
            {
                utterance: (
                    speaker,
                    tuple(without_punctuation(" ".join(words).casefold(), "").split()),
                )
                for utterance, (speaker, words) in each.utterances.items()
            },
        )
        for each in (reference, hypothesis)
    ]
    return score(*plain).errors


def _text(transcripts: Transcripts) -> str:
    return " ".join(word for _, words in transcripts.utterances.values() for word in words)


def _is_trn(name: SpeechPath) -> bool:
    return str(name).endswith(".trn")
