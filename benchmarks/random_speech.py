"""Random weights and noise to train them on: what an update costs does not depend on either."""

import string
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC, set_seed

from sottovoce.config.recipe import Training
from sottovoce.models.families import family_of
from sottovoce.models.processor import new_processor
from sottovoce.models.recogniser import Recogniser
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.utterance import AudioClip, Utterance
from sottovoce.training.batch import Batch, TrainingSpeech

_RATE = 16000
_LETTERS_A_SECOND = 14
_VOCABULARY = ("<pad>", "<s>", "</s>", "<unk>", "|", "'", *string.ascii_lowercase)


@dataclass(frozen=True)
class Shape:
    """The size of a model and of its batch.

    Attributes:
        changes: to transformers' `Wav2Vec2Config()`, whose defaults are wav2vec2-base.
        utterances: in the batch.
        seconds: of each utterance.
    """

    name: str
    utterances: int
    seconds: float
    changes: dict[str, Any] = field(default_factory=dict)


BASE = Shape("wav2vec2-base", utterances=7, seconds=14.3)
LARGE = Shape(
    "hubert-large",
    utterances=1,
    seconds=10.0,
    changes={
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "feat_extract_norm": "layer",
        "conv_bias": True,
        "do_stable_layer_norm": True,
    },
)
TINY = Shape(
    "tiny",
    utterances=2,
    seconds=0.5,
    changes={
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "conv_dim": (16,) * 7,
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2,
    },
)


def random_recogniser(shape: Shape) -> Recogniser:
    """The same weights at every call. No layer is ever dropped: all networks do equal work."""
    set_seed(0)
    config = Wav2Vec2Config(vocab_size=len(_VOCABULARY), layerdrop=0.0, **shape.changes)
    vocabulary = {token: label for label, token in enumerate(_VOCABULARY)}
    family = family_of("wav2vec2")
    processor = new_processor(vocabulary, Wav2Vec2FeatureExtractor(), family)
    return Recogniser(Wav2Vec2ForCTC(config), processor, family)


def random_speech(shape: Shape, recogniser: Recogniser, folder: Path) -> TrainingSpeech:
    """Noise with random letters for transcripts, written to `folder`."""
    utterances = []
    for index in range(shape.utterances):
        random = np.random.default_rng(index)
        path = folder / f"{index}.wav"
        soundfile.write(path, 0.1 * random.standard_normal(round(shape.seconds * _RATE)), _RATE)
        letters = list(string.ascii_lowercase)
        text = "".join(random.choice(letters, round(shape.seconds * _LETTERS_A_SECOND)))
        utterances.append(Utterance(str(index), AudioClip(path), shape.seconds, text))
    return TrainingSpeech(Corpus("noise", tuple(utterances)), recogniser)


def whole_batch(speech: TrainingSpeech) -> Batch:
    """All of the speech as one batch."""
    recipe = Training(seconds_per_batch=2 * sum(speech.durations))
    return next(speech.batches(recipe, first_update=0))
