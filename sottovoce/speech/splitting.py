"""A corpus in two parts that share no speaker: one to decide on, one for the verdict."""

from collections import defaultdict

from sottovoce.errors import InputError
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.utterance import Utterance
from sottovoce.wording import counted

FEWEST_UTTERANCES = 20
_FEWEST_SPEAKERS = 4


def halves(corpus: Corpus) -> tuple[Corpus, Corpus]:
    """Two parts of about as many words, each in the corpus's order.

    Speakers stay whole where there are four or more of them; with fewer, every speaker's
    utterances go to both parts by turns.

    Raises:
        InputError: there are fewer than 20 utterances.
    """
    if len(corpus.utterances) < FEWEST_UTTERANCES:
        raise InputError(
            f"{corpus.name} has {counted(len(corpus.utterances), 'utterance')}, too few to decide "
            f"on some and give the verdict on others; {FEWEST_UTTERANCES} are the fewest"
        )
    groups: dict[str, list[Utterance]] = defaultdict(list)
    for one in corpus.utterances:
        groups[one.speaker].append(one)
    if len(groups) >= _FEWEST_SPEAKERS:
        parts = list(groups.values())
    else:
        parts = [[one] for one in corpus.utterances]
    parts.sort(key=_words, reverse=True)  # the largest first, each to the smaller half
    first: set[str] = set()
    words = [0, 0]
    for part in parts:
        smaller = words.index(min(words))
        words[smaller] += _words(part)
        if smaller == 0:
            first |= {one.id for one in part}
    return (
        Corpus(f"{corpus.name}, first part", tuple(u for u in corpus.utterances if u.id in first)),
        Corpus(
            f"{corpus.name}, second part", tuple(u for u in corpus.utterances if u.id not in first)
        ),
    )


def _words(utterances: list[Utterance]) -> int:
    return sum(len(one.text.split()) for one in utterances)
