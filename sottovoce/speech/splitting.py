"""A corpus in two parts that share no speaker, if it has enough of them: one to decide on, one for
the verdict."""

from collections import defaultdict
from collections.abc import Sequence

from sottovoce.errors import InputError
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.utterance import Utterance
from sottovoce.wording import plural

FEWEST_UTTERANCES = 20
_FEWEST_SPEAKERS = 4
_LEAST_SHARE = 1 / 3


def split_in_halves(corpus: Corpus) -> tuple[Corpus, Corpus]:
    """Two parts of about as many words, each in the corpus's order.

    Speakers stay whole where there are four or more of them and neither part then has less than a
    third of the words; else utterances are dealt one by one, whoever speaks.

    Raises:
        InputError: there are fewer than 20 utterances.
    """
    if len(corpus.utterances) < FEWEST_UTTERANCES:
        raise InputError(
            f"{corpus.name} has {plural(len(corpus.utterances), 'utterance')}, too few to decide "
            f"on some and give the verdict on others; {FEWEST_UTTERANCES} are the fewest"
        )
    groups: dict[str, list[Utterance]] = defaultdict(list)
    for one in corpus.utterances:
        groups[one.speaker].append(one)
    first, second = _dealt(list(groups.values()))
    smaller = min(_words(first), _words(second))
    if len(groups) < _FEWEST_SPEAKERS or smaller < _LEAST_SHARE * _words(corpus.utterances):
        first, second = _dealt([[one] for one in corpus.utterances])
    chosen = {one.id for one in first}
    return (
        Corpus(f"{corpus.name}, first part", tuple(u for u in corpus.utterances if u.id in chosen)),
        Corpus(
            f"{corpus.name}, second part", tuple(u for u in corpus.utterances if u.id not in chosen)
        ),
    )


def _dealt(parts: list[list[Utterance]]) -> tuple[list[Utterance], list[Utterance]]:
    """The largest part first, each to the half that has fewer words so far."""
    split_in_halves: tuple[list[Utterance], list[Utterance]] = ([], [])
    words = [0, 0]
    for part in sorted(parts, key=_words, reverse=True):
        smaller = words.index(min(words))
        split_in_halves[smaller].extend(part)
        words[smaller] += _words(part)
    return split_in_halves


def _words(utterances: Sequence[Utterance]) -> int:
    return sum(len(one.text.split()) for one in utterances)
