"""Normalisers of transcripts before words are compared, as the Open ASR Leaderboard uses them.

They are transformers' own, of arXiv 2212.04356 (appendix C).
"""

from collections.abc import Callable, Mapping

from transformers.models.whisper.english_normalizer import (
    BasicTextNormalizer,
    EnglishTextNormalizer,
)

Normaliser = Callable[[str], str]


def _unchanged(_: Mapping[str, str]) -> Normaliser:
    return lambda text: text


def _basic(_: Mapping[str, str]) -> Normaliser:
    return BasicTextNormalizer()


def _english(spellings: Mapping[str, str]) -> Normaliser:
    return EnglishTextNormalizer(dict(spellings))


MAKERS: Mapping[str, Callable[[Mapping[str, str]], Normaliser]] = {
    "none": _unchanged,
    "basic": _basic,
    "english": _english,
}
"""Name -> (British spelling -> American spelling) -> normaliser.

none leaves a text as it is; basic lower-cases and drops punctuation and what stands in brackets;
english also writes numbers as digits, contractions in full and one spelling of each word.
"""
