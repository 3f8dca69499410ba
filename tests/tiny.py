"""Recognisers and speech that are as small as they can be and still have every part."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import transformers
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    GenerationConfig,
    ParakeetFeatureExtractor,
    ParakeetProcessor,
    ParakeetTokenizer,
    PreTrainedModel,
    ProcessorMixin,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertProcessor,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
    WhisperFeatureExtractor,
    WhisperProcessor,
    WhisperTokenizer,
)

from sottovoce.models.families import family_of
from sottovoce.models.recogniser import Recogniser
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.utterance import AudioClip, Utterance

VOCABULARY = ("<pad>", "<s>", "</s>", "<unk>", "|", "a", "b", "c")
RATE = 16000
SAMPLES_A_FRAME = 160


_ENCODER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "layerdrop": 0.0,
}
_MASKED = {"mask_time_prob": 0.2, "mask_time_length": 4}
_CONVOLUTIONS = {
    "conv_dim": (16, 16),
    "conv_kernel": (20, 10),
    "conv_stride": (16, 10),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
_CONFORMER = {"conv_depthwise_kernel_size": 5, "max_source_positions": 50}
_SETTINGS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("wav2vec2", "hubert", "wavlm"), _ENCODER | _MASKED | _CONVOLUTIONS),
    "wav2vec2-conformer": _ENCODER | _MASKED | _CONVOLUTIONS | _CONFORMER,
    "wav2vec2-bert": _ENCODER | _MASKED | _CONFORMER | {"left_max_position_embeddings": 8},
    "parakeet_ctc": {"pad_token_id": 0},
    "whisper": {
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 48,
        "decoder_ffn_dim": 48,
        "num_mel_bins": 16,
        "max_source_positions": 50,
        "max_target_positions": 24,
        "init_std": 0.2,
    },
}
FAMILIES = tuple(_SETTINGS)
_PARAKEET_ENCODER = _ENCODER | {
    "conv_kernel_size": 5,
    "subsampling_factor": 2,
    "subsampling_conv_channels": 4,
    "num_mel_bins": 80,
}


def tiny_model(family: str, **changes: Any) -> PreTrainedModel:
    """Two encoder layers of width 32, 50 or 100 frames a second, the same weights at every call."""
    settings = {"vocab_size": len(VOCABULARY), "ctc_zero_infinity": True} | _SETTINGS[family]
    if family == "parakeet_ctc":
        settings["encoder_config"] = _PARAKEET_ENCODER | changes
    else:
        settings |= changes
    if family == "whisper":
        settings |= _whisper_tokens(settings)
    model_class = getattr(transformers, family_of(family).model_class)
    torch.manual_seed(0)
    model = model_class(model_class.config_class(**settings)).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):  # as speech would have left them
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 2.0)
    if family == "whisper":
        model.generation_config = _generation(model)
    return model


_BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
_END, _START, _NO_TIMESTAMPS = 256, 257, 258


def _whisper_tokens(settings: dict[str, Any]) -> dict[str, Any]:
    """Bytes, three special tokens and the timestamps of a second."""
    ids = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), _END)
    del settings["ctc_zero_infinity"]
    return ids | {"vocab_size": 259 + 51, "decoder_start_token_id": _START}


def _generation(model: Any) -> GenerationConfig:
    """English alone, as a checkpoint of OpenAI says it."""
    return GenerationConfig(
        is_multilingual=False,
        return_timestamps=False,
        no_timestamps_token_id=_NO_TIMESTAMPS,
        decoder_start_token_id=_START,
        max_length=model.config.max_target_positions,
        suppress_tokens=list(range(32)),
        begin_suppress_tokens=[_END],
        pad_token_id=_END,
        bos_token_id=_END,
        eos_token_id=_END,
    )


def _whisper_processor(_: Path) -> ProcessorMixin:
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"]
    times = [f"<|{0.02 * step:.2f}|>" for step in range(51)]
    vocabulary = {token: label for label, token in enumerate((*_BYTES, *special, *times))}
    tokenizer = WhisperTokenizer(vocabulary, [])
    tokenizer.add_special_tokens({"additional_special_tokens": special[1:]})
    tokenizer.add_tokens(times)
    extractor = WhisperFeatureExtractor(feature_size=16, chunk_length=1)
    return WhisperProcessor(extractor, tokenizer)


def tiny_processor(folder: Path, family: str = "wav2vec2") -> ProcessorMixin:
    return _PROCESSORS[family_of(family).processor](folder)


def _wav2vec2_processor(folder: Path) -> ProcessorMixin:
    return Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), _characters(folder))


def _bert_processor(folder: Path) -> ProcessorMixin:
    return Wav2Vec2BertProcessor(SeamlessM4TFeatureExtractor(), _characters(folder))


def _parakeet_processor(_: Path) -> ProcessorMixin:
    return ParakeetProcessor(ParakeetFeatureExtractor(), subwords())


_PROCESSORS = {
    "Wav2Vec2Processor": _wav2vec2_processor,
    "Wav2Vec2BertProcessor": _bert_processor,
    "ParakeetProcessor": _parakeet_processor,
    "WhisperProcessor": _whisper_processor,
}


def _characters(folder: Path) -> Wav2Vec2CTCTokenizer:
    vocabulary = folder / "vocabulary" / "vocab.json"
    vocabulary.parent.mkdir(parents=True, exist_ok=True)
    vocabulary.write_text(json.dumps({token: label for label, token in enumerate(VOCABULARY)}))
    return Wav2Vec2CTCTokenizer(vocabulary)


def subwords() -> ParakeetTokenizer:
    """As transformers makes one of a sentencepiece model: pieces, of which "▁" begins a word."""
    pieces = ("<pad>", "<unk>", "▁", "a", "b", "c", "ab", "▁c")
    model = BPE(
        {piece: label for label, piece in enumerate(pieces)},
        [("a", "b"), ("▁", "c")],
        unk_token="<unk>",
        fuse_unk=True,
    )
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return ParakeetTokenizer(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>")


def tiny_recogniser(folder: Path, family: str = "wav2vec2", **changes: Any) -> Recogniser:
    return Recogniser(
        tiny_model(family, **changes), tiny_processor(folder, family), family_of(family)
    )


@torch.inference_mode()
def logits_of(recogniser: Recogniser, waveforms: list[np.ndarray]) -> list[torch.Tensor]:
    """What a batch of waveforms gives each, padding cut off."""
    features = recogniser.features(waveforms)
    logits = recogniser.logits(features)
    return [one[:frames] for one, frames in zip(logits, features.frames.tolist(), strict=True)]


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
