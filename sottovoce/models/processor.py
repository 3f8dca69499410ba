"""A processor for a new CTC head."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2Processor


def new_processor(
    vocabulary: dict[str, int], extractor: Wav2Vec2FeatureExtractor
) -> Wav2Vec2Processor:
    """A processor whose tokenizer writes with `vocabulary`; `<pad>` is the blank."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "vocab.json"
        file.write_text(json.dumps(vocabulary))
        special = {"bos_token": None, "eos_token": None, "unk_token": "<unk>", "pad_token": "<pad>"}
        tokenizer = Wav2Vec2CTCTokenizer(str(file), **special)
    return Wav2Vec2Processor(feature_extractor=extractor, tokenizer=tokenizer)
