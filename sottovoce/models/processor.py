"""A processor for a new CTC head."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import transformers
from transformers import ProcessorMixin, Wav2Vec2CTCTokenizer

from sottovoce.models.family import Family


def new_processor(vocabulary: dict[str, int], extractor: Any, family: Family) -> ProcessorMixin:
    """A family's processor whose tokenizer writes with `vocabulary`; `<pad>` is the blank."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "vocab.json"
        file.write_text(json.dumps(vocabulary))
        special = {"bos_token": None, "eos_token": None, "unk_token": "<unk>", "pad_token": "<pad>"}
        tokenizer = Wav2Vec2CTCTokenizer(str(file), **special)
    processor_class = getattr(transformers, family.processor)
    processor: ProcessorMixin = processor_class(feature_extractor=extractor, tokenizer=tokenizer)
    return processor
