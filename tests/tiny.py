"""Recognisers and speech that are as small as they can be and still have every part."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import transformers
from transformers import (
    PreTrainedModel,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
)

from sottovoce.models.families import family_of
from sottovoce.models.recogniser import Recogniser
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.utterance import AudioClip, Utterance

VOCABULARY = ("<pad>", "<s>", "</s>", "<unk>", "|", "a", "b", "c")
RATE = 16000
SAMPLES_A_FRAME = 160


def tiny_model(family: str, **changes: Any) -> PreTrainedModel:
    """Two encoder layers of width 32, 100 frames a second, the same weights at every call."""
    settings = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "conv_dim": (16, 16),
        "conv_kernel": (20, 10),
        "conv_stride": (16, 10),
        "num_feat_extract_layers": 2,
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2,
        "layerdrop": 0.0,
        "mask_time_prob": 0.2,
        "mask_time_length": 4,
        "ctc_zero_infinity": True,
    } | changes
    ctc_class = getattr(transformers, family_of(family).ctc_class)
    torch.manual_seed(0)
    return ctc_class(ctc_class.config_class(**settings)).eval()


def tiny_processor(folder: Path) -> Wav2Vec2Processor:
    vocabulary = folder / "vocabulary" / "vocab.json"
    vocabulary.parent.mkdir(parents=True, exist_ok=True)
    vocabulary.write_text(json.dumps({token: label for label, token in enumerate(VOCABULARY)}))
    return Wav2Vec2Processor(
        feature_extractor=Wav2Vec2FeatureExtractor(), tokenizer=Wav2Vec2CTCTokenizer(vocabulary)
    )


def tiny_recogniser(folder: Path, family: str = "wav2vec2", **changes: Any) -> Recogniser:
    return Recogniser(tiny_model(family, **changes), tiny_processor(folder), family_of(family))


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (0.1 * samples).astype(np.float32)


def tiny_corpus(folder: Path, utterances: int = 8) -> Corpus:
    """Noise of 0.2 to 0.5 seconds with transcripts of two words."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for index in range(utterances):
        seconds = 0.2 + 0.3 * index / utterances
        path = folder / f"{index}.wav"
        soundfile.write(path, noise(seconds, seed=index), RATE)
        text = ("ab c", "ca b", "b a", "cc a")[index % 4]
        made.append(Utterance(f"u{index}", AudioClip(path), seconds, text, f"s{index % 2}"))
    return Corpus("noise", tuple(made))
