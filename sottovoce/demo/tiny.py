"""The demo's recogniser before any training: a wav2vec 2.0 small enough to travel with the code.

The trained one in `model/` was made by

    python -m sottovoce.demo.tiny OUT

which speaks the demo's corpus, starts from random weights and fine-tunes in full precision.
"""

import sys
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC, set_seed

from sottovoce.commands.finetune import finetune
from sottovoce.config.recipe import Training
from sottovoce.demo.corpus import speak_corpus
from sottovoce.models.families import family_of
from sottovoce.models.processor import new_processor
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.labels import new_vocabulary

TRAINING = Training(
    epochs=9,
    seconds_per_batch=30.0,
    learning_rate=1.5e-3,
    evaluations=6,
    train_front_end=True,
    seed=1,
)


def trained_recogniser() -> Path:
    """The folder of the committed recogniser."""
    return Path(str(resources.files("sottovoce.demo") / "model"))


def untrained_recogniser(folder: Path, texts: list[str]) -> None:
    """Write a tiny `Wav2Vec2ForCTC` with random weights over the characters of `texts`."""
    vocabulary = new_vocabulary(texts)
    config = Wav2Vec2Config(
        vocab_size=len(vocabulary),
        pad_token_id=vocabulary["<pad>"],
        hidden_size=144,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=576,
        conv_dim=(48,) * 7,
        num_conv_pos_embeddings=32,
        num_conv_pos_embedding_groups=16,
        do_stable_layer_norm=True,
        hidden_dropout=0.05,
        attention_dropout=0.05,
        activation_dropout=0.05,
        feat_proj_dropout=0.0,
        final_dropout=0.05,
        layerdrop=0.0,
        mask_time_prob=0.04,
        mask_time_length=4,
        ctc_zero_infinity=True,
    )
    set_seed(0)
    extractor = Wav2Vec2FeatureExtractor(
        feature_size=1, sampling_rate=16000, padding_value=0.0, do_normalize=True
    )
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    new_processor(vocabulary, extractor, family_of("wav2vec2")).save_pretrained(folder)


def main(out: Path) -> None:
    """Train the demo's recogniser into `out`."""
    with TemporaryDirectory() as scratch:
        corpus = speak_corpus(Path(scratch) / "speech", hours_train=1.5)
        start = Path(scratch) / "start"
        texts = [utterance.text for utterance in read_corpus(corpus.train).utterances]
        untrained_recogniser(start, texts)
        finetune(start, corpus.train, corpus.dev, out, TRAINING)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
