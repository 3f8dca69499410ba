"""Sentences to speak: a small grammar of everyday English.

The sentences were written for sottovoce and are released into the public domain (CC0 1.0). Some
144 common words make 187,640 sentences, so the two parts of a corpus share their words and no
sentence: a tiny recogniser can learn the words in minutes, but no answer by heart.
"""

import re
from collections.abc import Collection

import numpy as np

from sottovoce.errors import InputError

MOST_SENTENCES = 50_000
"""More would be slow to draw distinct; it is about 45 hours of speech."""

TEMPLATES = (
    "{who} {did} the {colour} {thing} {place}",
    "{who} {did} {number} {colour} {things} {past}",
    "{who} didn't see the {nature} {animal} {place}",
    "{who} will bring the {size} {thing} {future}",
    "{who} can't open the {size} {colour} {thing} {future}",
    "{who} went to the {building} with {number} {things}",
    "please put the {size} {thing} {place}",
    "please give the {size} {colour} {thing} to {whom} {future}",
    "don't leave your {colour} {thing} {place}",
    "there were {number} {nature} {animals} {place} {past}",
    "the {nature} {animal} ran after {number} {animals}",
    "the {animal} was so {mood} {past}",
    "it's {weather} {future} and the {building} is {weather}",
    "where did {who} find that {size} {colour} {thing}",
    "how many {colour} {things} did {who} see {place}",
    "the {colour} {thing} and the {thing} are {place}",
)

FILLERS: dict[str, tuple[str, ...]] = {
    "who": ("she", "he", "we", "they", "my mother", "your brother", "the king", "the queen"),
    "whom": ("her", "him", "them", "me"),
    "did": ("found", "lost", "saw", "bought", "washed", "broke", "wanted", "carried"),
    "colour": ("red", "blue", "green", "yellow", "white", "black", "brown"),
    "size": ("big", "small", "old", "new", "heavy", "strange"),
    "nature": ("big", "small", "old", "young", "lazy", "hungry"),
    "mood": ("angry", "quiet", "happy", "tired", "cold", "late"),
    "weather": ("cold", "warm", "quiet", "dark", "wet"),
    "thing": ("box", "book", "cup", "key", "lamp", "chair", "jar", "shirt", "knife", "clock"),
    "things": ("boxes", "books", "cups", "keys", "chairs", "jars", "shirts", "clocks"),
    "animal": ("fox", "dog", "horse", "bird", "cat", "fish", "mouse", "sheep"),
    "animals": ("foxes", "dogs", "horses", "birds", "cats", "mice", "sheep"),
    "number": ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    "building": ("kitchen", "garden", "village", "church", "school", "bridge"),
    "place": (
        "by the door",
        "under the table",
        "in the garden",
        "near the river",
        "behind the church",
        "on the bridge",
        "at school",
        "in the kitchen",
    ),
    "past": ("yesterday", "last night", "this morning"),
    "future": ("today", "tomorrow", "this evening", "at noon"),
}


def draw_sentences(
    count: int, generator: np.random.Generator, avoid: Collection[str] = ()
) -> list[str]:
    """`count` sentences, no two the same and none in `avoid`.

    Each has 6 to 11 words in lower-case letters, apostrophes and single spaces.

    Raises:
        InputError: more than `MOST_SENTENCES` are asked for, those to avoid counted.
    """
    if count + len(avoid) > MOST_SENTENCES:
        raise InputError(
            f"{count + len(avoid)} distinct sentences are asked for and the demo's grammar gives "
            f"{MOST_SENTENCES}; ask for fewer hours"
        )
    drawn = dict.fromkeys(avoid)
    while len(drawn) < count + len(avoid):
        drawn[_sentence(generator)] = None
    return list(drawn)[len(avoid) :]


def _sentence(generator: np.random.Generator) -> str:
    template = TEMPLATES[generator.integers(len(TEMPLATES))]
    return re.sub(r"\{(\w+)\}", lambda slot: _filler(slot[1], generator), template)


def _filler(slot: str, generator: np.random.Generator) -> str:
    fillers = FILLERS[slot]
    return fillers[generator.integers(len(fillers))]
