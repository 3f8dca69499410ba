"""Reading a checkpoint: a hub id, a folder that transformers wrote, or a folder that we packed."""

import json
import math
import pickle
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, StrictDataclassError
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
)
from transformers.utils import SAFE_WEIGHTS_NAME

from sottovoce.artifact.reader import read_artifact
from sottovoce.errors import InputError
from sottovoce.models.families import family_of
from sottovoce.models.family import Family
from sottovoce.models.recogniser import Recogniser

EXPORT_FACTS = "export.json"
"""In a folder that was exported: how it is run."""
_MASK_EMBEDDING = "masked_spec_embed"
_TOKENIZERS = ("tokenizer.json", "vocab.json", "tokenizer.model")


def load_checkpoint(source: str | Path) -> Recogniser:
    """A float checkpoint with a CTC head, in float32 and eval mode.

    Args:
        source: hub id, or folder written by transformers with its processor. A `.bin` is read
            with `weights_only=True`.

    Raises:
        InputError: nothing there, an unsupported family, no CTC head, a weight that is missing or
            not finite, encoder layers that the config leaves out, or one that is compressed
            already, by us or by another quantizer.
    """
    config = None if is_artifact(source) else _read_config(source)
    if config is None or getattr(config, "quantization_config", None) is not None:
        raise InputError(f"{source} is compressed already; give the full-precision checkpoint")
    return _recogniser(source, config)


def _recogniser(source: str | Path, config: Any) -> Recogniser:
    family = family_of(config.model_type)
    ctc_class = getattr(transformers, family.ctc_class)
    model, report = _read(
        lambda: ctc_class.from_pretrained(
            source, dtype=torch.float32, weights_only=True, output_loading_info=True
        ),
        source,
    )
    if any(name.startswith(family.head) for name in report["missing_keys"]):
        raise InputError(f"{source} has no CTC head; `sottovoce finetune {source} ...` trains one")
    _refuse_gaps(model, report, family, source)
    _refuse_non_finite(model, source)
    _ready(model)
    processor = read_processor(source, family)
    return Recogniser(model.eval(), processor, family, _stored_bits(source, config))


def _stored_bits(source: str | Path, config: Any) -> int:
    """Of a number in the checkpoint: by its file's largest tensor, else as its config says."""
    file = Path(source) / SAFE_WEIGHTS_NAME
    if not Path(source).exists():
        cached = try_to_load_from_cache(str(source), SAFE_WEIGHTS_NAME)
        file = Path(cached) if isinstance(cached, str) else file
    if not file.is_file():
        return torch.finfo(getattr(config, "dtype", None) or torch.float32).bits
    with safe_open(file, framework="pt") as tensors:
        slices = [tensors.get_slice(name) for name in tensors.keys()]  # noqa: SIM118
    largest = max(slices, key=lambda one: math.prod(one.get_shape()))
    found = re.search(r"\d+", largest.get_dtype())  # of F8_E4M3 the first
    return int(found[0]) if found else 32


def load(source: str | Path) -> Recogniser:
    """Any recogniser: a compressed folder or a checkpoint of transformers, ready to transcribe.

    Example:
        ```python
        recogniser = sottovoce.load("small")
        print(recogniser.sampling_rate, recogniser.family.model_type)
        ```
    """
    if not is_artifact(source):
        return _recogniser(source, _read_config(source))
    model, processor = read_artifact(Path(source))
    return Recogniser(model.eval(), processor, family_of(model.config.model_type))


def load_backbone(source: str | Path, vocabulary: dict[str, int]) -> Any:
    """A CTC model over `vocabulary` on a pre-trained backbone; the head starts at random.

    For checkpoints without a head (hubert-large-ll60k). `<pad>` of the vocabulary is the blank.

    Raises:
        InputError: as `load_checkpoint`.
    """
    family = family_of(_read_config(source).model_type)
    ctc_class = getattr(transformers, family.ctc_class)
    model, report = _read(
        lambda: ctc_class.from_pretrained(
            source,
            dtype=torch.float32,
            weights_only=True,
            vocab_size=len(vocabulary),
            pad_token_id=vocabulary["<pad>"],
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        ),
        source,
    )
    _refuse_gaps(model, report, family, source)
    _refuse_non_finite(model, source)
    _ready(model)
    return model


def load_feature_extractor(source: str | Path) -> Any:
    """The checkpoint's feature extractor; raises InputError where it has none."""
    return _read(lambda: AutoFeatureExtractor.from_pretrained(source), source)


def is_artifact(source: str | Path) -> bool:
    """Whether `source` is a folder with our quantization config in it."""
    path = Path(source) / "config.json"
    try:
        method = json.loads(path.read_text())["quantization_config"]["quant_method"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(method == "sottovoce")


def is_export(source: str | Path) -> bool:
    """Whether `source` is a folder that was exported for another program."""
    return (Path(source) / EXPORT_FACTS).is_file()


def refuse_export(source: str | Path) -> None:
    """Raises InputError where `source` was exported."""
    if is_export(source):
        raise InputError(
            f"{source} is an export, which only evaluate, compare and transcribe run; give the "
            "checkpoint or the compressed folder that it was made from"
        )


def has_ctc_head(source: str | Path) -> bool:
    """Whether the checkpoint says that it was saved with a CTC head."""
    return any("ForCTC" in name for name in _read_config(source).architectures or [])


def _read_config(source: str | Path) -> Any:
    if not (Path(source) / "config.json").is_file():  # it has one if transformers runs it
        refuse_export(source)
    config = _read(lambda: _config_of(source), source)
    family_of(config.model_type)
    if getattr(config, "add_adapter", False):
        raise InputError(f"{source} has an adapter behind its encoder, which is not supported")
    return config


def _config_of(source: str | Path) -> Any:
    """The configuration; an OSError at once where there is neither a folder nor a hub."""
    if not Path(source).exists() and try_to_load_from_cache(str(source), "config.json") is None:
        try:
            get_hf_file_metadata(hf_hub_url(str(source), "config.json"))
        except HfHubHTTPError:  # the hub answers, and transformers says what
            pass
        except Exception as error:  # of whichever HTTP client: transformers would try six times
            raise OSError(f"the hub cannot be reached ({_first_line(error)})") from error
    return AutoConfig.from_pretrained(source)


def _ready(model: Any) -> None:
    """WavLM's masking of features reads a setting that its config does not have. Where a config
    asks for gradient checkpointing, layers would be run anew in the backward pass, outside of what
    chooses their weights and silences their padding. And where it asks for tuples, as it does of
    what was once traced, outputs would have no names."""
    for module in model.modules():
        if isinstance(module, transformers.PreTrainedModel):
            module.config.return_dict = True
    if not hasattr(model.config, "mask_feature_min_masks"):
        model.config.mask_feature_min_masks = 0
    if any(getattr(one, "gradient_checkpointing", False) for one in model.modules()):
        model.gradient_checkpointing_disable()


def read_processor(source: str | Path, family: Family) -> Any:
    """A folder's or hub id's processor; raises InputError where it is not the family's."""
    processor_class = getattr(transformers, family.processor)
    _refuse_unreadable_tokenizer(source, family)
    try:
        # Not AutoProcessor: one with a language model would ask for packages that are not needed.
        processor = _read(lambda: processor_class.from_pretrained(source), source)
    except TypeError:  # transformers opens a vocab.json that is not there
        processor = None
    if not hasattr(processor, "tokenizer") or not hasattr(processor, "feature_extractor"):
        raise _no_tokenizer(source, family)
    made = processor.feature_extractor.model_input_names[0]
    taken = getattr(transformers, family.ctc_class).main_input_name
    if made != taken:
        raise InputError(
            f"{source} has a {type(processor.feature_extractor).__name__}, which makes {made} and "
            f"the model takes {taken}; save its own there with `{family.processor}.save_pretrained`"
        )
    return processor


def _refuse_unreadable_tokenizer(source: str | Path, family: Family) -> None:
    """In a folder; transformers would name another package than the one that is missing."""
    folder = Path(source)
    found = [name for name in _TOKENIZERS if (folder / name).is_file()]
    if folder.is_dir() and not found:
        raise _no_tokenizer(source, family)
    if found == ["tokenizer.model"] and find_spec("sentencepiece") is None:
        raise InputError(
            f"{source} keeps its tokenizer as a sentencepiece model, which takes another package "
            "to read: pip install sentencepiece protobuf"
        )


def _no_tokenizer(source: str | Path, family: Family) -> InputError:
    return InputError(
        f"{source} has no processor with a tokenizer; save one there with "
        f"`{family.processor}.save_pretrained`"
    )


def _read(read: Any, source: str | Path) -> Any:
    try:
        return read()
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{source} has a .bin file that holds more than tensors, and reading it could run what "
            "it holds; save the model as safetensors"
        ) from error
    except ImportError as error:
        raise InputError(
            f"{source} cannot be read without another package: {_first_line(error)} "
            "(install it with pip and try again)"
        ) from error
    except (
        OSError,
        ValueError,
        KeyError,
        RuntimeError,
        SafetensorError,
        StrictDataclassError,
    ) as error:
        reason = _first_line(error)
        if not Path(source).exists():
            reason = f"there is no such folder, and as a hub id: {reason}"
        raise InputError(
            f"cannot read the checkpoint {source}: {reason} "
            "(give a folder written by transformers' save_pretrained, or a hub id)"
        ) from error


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else repr(error)


def _refuse_gaps(model: Any, report: Any, family: Family, source: str | Path) -> None:
    """Everything but the head must have come from the checkpoint, and all of its layers be used.

    SpecAugment's mask embedding may be missing, as it is in facebook/wav2vec2-base-960h. It is set
    to zeros then: transformers leaves it at random.
    """
    mismatched = [name for name, *_ in report["mismatched_keys"]]
    missing = {
        name for name in (*report["missing_keys"], *mismatched) if not name.startswith(family.head)
    }
    for name in [name for name in missing if name.endswith(_MASK_EMBEDDING)]:
        missing.remove(name)
        model.get_parameter(name).data.zero_()
    if missing:
        raise InputError(
            f"{source} lacks {', '.join(sorted(missing)[:3])}, which its config.json asks for"
        )
    unused = sorted(name for name in report["unexpected_keys"] if f"{family.layers}." in name)
    if unused:
        raise InputError(
            f"{source} has {unused[0]}, which its config.json has no place for; correct the config"
        )


def _refuse_non_finite(model: Any, source: str | Path) -> None:
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{source}: tensor {name} holds values that are not finite")
