"""A recogniser that is right about its speech, and of which few layers need more than 2 bits."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import torch
from tiny import tiny_corpus, tiny_recogniser

from sottovoce.models.recogniser import Recogniser
from sottovoce.quantization.plan import Precision
from sottovoce.quantization.ranges import initial_affine
from sottovoce.runtime.recognition import recognise
from sottovoce.speech.corpus import Corpus

SENSITIVE = (
    "wav2vec2.encoder.layers.0.attention.out_proj",
    "wav2vec2.encoder.layers.1.feed_forward.intermediate_dense",
)
TWO_BITS, EIGHT_BITS = Precision(2, "half"), Precision(8)
_REGULAR = dict.fromkeys(
    (
        *("mask_time_prob", "hidden_dropout", "attention_dropout", "activation_dropout"),
        *("feat_proj_dropout", "final_dropout"),
    ),
    0.0,
)
_UNUSED_LABELS = slice(1, 4)


def planted_recogniser(folder: Path, sensitive: Collection[str] = SENSITIVE) -> Recogniser:
    """All other encoder matrices already are what 2 bits make of them; the same at every call."""
    recogniser = tiny_recogniser(folder, initializer_range=0.25, **_REGULAR)
    quantizer = TWO_BITS.quantizer
    with torch.no_grad():
        for name in recogniser.family.shapes(recogniser.model).keys() - set(sensitive):
            weight = recogniser.model.get_submodule(name).weight
            weight.copy_(quantizer.rounded(weight, initial_affine(weight, quantizer, "mse")))
        recogniser.model.lm_head.weight.mul_(4.0)  # it is sure of what it says
        recogniser.model.lm_head.bias[_UNUSED_LABELS] = -30.0
    return recogniser


def planted_speech(recogniser: Recogniser, folder: Path) -> Corpus:
    """Noise with what the recogniser hears in it for transcripts: rounding can only do harm."""
    corpus = tiny_corpus(folder)
    heard = recognise(recogniser, corpus).transcripts.utterances
    utterances = tuple(replace(one, text=" ".join(heard[one.id][1])) for one in corpus.utterances)
    return replace(corpus, utterances=utterances)


def planted_bits(recogniser: Recogniser, sensitive: Collection[str] = SENSITIVE) -> float:
    """The size at which these layers can have 8 bits and all others 2."""
    shapes = recogniser.family.shapes(recogniser.model)
    weights = {name: rows * columns for name, (rows, columns) in shapes.items()}
    share = sum(weights[name] for name in sensitive) / sum(weights.values())
    return 2 + (8 - 2) * share
