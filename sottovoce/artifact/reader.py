"""Reads an artifact, strictly."""

import json
from pathlib import Path
from typing import Any

from transformers import (
    AutoModelForCTC,
    AutoModelForSpeechSeq2Seq,
    AutoProcessor,
    PreTrainedModel,
    ProcessorMixin,
)

from sottovoce.artifact.format import CONFIG, METHOD, WEIGHTS
from sottovoce.errors import InputError


def read_artifact(folder: Path) -> tuple[PreTrainedModel, ProcessorMixin]:
    """The packed model, in evaluation mode on the CPU, and its processor.

    Raises:
        InputError: a file is missing or damaged; the version is unknown; the plan or the list of
            attentions does not fit the architecture; a tensor is missing, unknown, of another shape
            or type, or not finite; a scale is not positive; a code lies outside its grid. The file,
            tensor or layer is named.
    """
    config = _artifact_config(folder)
    speaks_tokens = config.get("is_encoder_decoder") is True
    try:
        model = (AutoModelForSpeechSeq2Seq if speaks_tokens else AutoModelForCTC).from_pretrained(
            folder, dtype="float32", use_safetensors=True, trust_remote_code=False
        )
    except InputError as error:
        raise InputError(f"{folder} cannot be read: {error}") from error
    except Exception as error:
        # config.json is well-formed but describes no model: any part of transformers may find out.
        raise InputError(
            f"{folder / CONFIG} describes no model that can be built: {_first_line(error)}"
        ) from error
    return model, _read_processor(folder)


def _artifact_config(folder: Path) -> dict[str, Any]:
    """Read config.json. Raises InputError where the folder is no artifact."""
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise InputError(f"{folder} is no sottovoce artifact: it has no file {name}")
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}; copy the artifact again") from error
    quantization = config.get("quantization_config") if isinstance(config, dict) else None
    method = quantization.get("quant_method") if isinstance(quantization, dict) else None
    if method != METHOD:
        raise InputError(
            f"{folder} is no sottovoce artifact: the quantization method in {CONFIG} is {method!r}"
        )
    return dict(config)


def _read_processor(folder: Path) -> ProcessorMixin:
    try:
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:
        raise InputError(
            f"the processor files of {folder} cannot be read: {_first_line(error)}"
        ) from error
    if not isinstance(processor, ProcessorMixin):
        raise InputError(
            f"{folder} has only the files of a {type(processor).__name__}; "
            "an artifact needs both the tokenizer and the feature extractor"
        )
    return processor


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
