"""Reading a checkpoint: a hub id, a folder that transformers wrote, or a folder that we packed."""

import json
import math
import pickle
import re
from importlib.util import find_spec
from pathlib import Path
from types import UnionType
from typing import Any

import torch
import transformers
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError
from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
)
from transformers.utils import SAFE_WEIGHTS_NAME
from transformers.utils.hub import cached_file

from sottovoce.artifact.reader import read_artifact
from sottovoce.config.decoding import Decoding
from sottovoce.errors import InputError, prefix_errors
from sottovoce.models.families import family_of
from sottovoce.models.family import Family
from sottovoce.models.recogniser import Recogniser
from sottovoce.models.settings import check_config, check_extractor, check_settings
from sottovoce.models.weight_files import check_indices, check_size

EXPORT_FACTS = "export.json"
"""In a folder that was exported: how it is run."""
_MASK_EMBEDDING = "masked_spec_embed"
_TOKENIZERS = ("tokenizer.json", "vocab.json", "tokenizer.model")


class MissingHead(InputError):  # noqa: N818 - an InputError that one caller can mend
    """The weights have no CTC head, whatever the config says."""


def load_checkpoint(source: str | Path, decoding: Decoding | None = None) -> Recogniser:
    """A float checkpoint with its head, in float32 and eval mode.

    Args:
        source: hub id, or folder written by transformers with its processor. A `.bin` is read
            with `weights_only=True`.
        decoding: how it writes; None is as the checkpoint says.

    Raises:
        InputError: nothing there, an unsupported family, no head, a weight that is missing or
            not finite, encoder layers that the config leaves out, or one that is compressed
            already, by us or by another quantizer.
    """
    config = None if is_artifact(source) else _read_config(source)
    if config is None or getattr(config, "quantization_config", None) is not None:
        raise InputError(f"{source} is compressed already; give the full-precision checkpoint")
    return _recogniser(source, config, decoding)


def _recogniser(source: str | Path, config: Any, decoding: Decoding | None) -> Recogniser:
    family = family_of(config.model_type)
    model, report = _read_model(source, config, **_adapter_of(source, config))
    if any(name.startswith(family.head) for name in report["missing_keys"]):
        raise MissingHead(f"{source} has no CTC head; `sottovoce finetune {source} ...` trains one")
    _refuse_gaps(model, report, family, source)
    _refuse_non_finite(model, source)
    _ready(model)
    processor = read_processor(source, family, config)
    with prefix_errors(str(source)):
        return Recogniser(model.eval(), processor, family, _stored_bits(source, config), decoding)


def _read_model(source: str | Path, config: Any, **changes: Any) -> tuple[Any, Any]:
    """The model with its weights, and what transformers tells of the loading."""
    model_class = getattr(transformers, family_of(config.model_type).model_class)
    with prefix_errors(str(source)):
        check_indices(Path(source))
    _read(lambda: check_size(Path(source), config, model_class), source)
    model, report = _read(
        lambda: model_class.from_pretrained(
            source,
            dtype=torch.float32,
            weights_only=True,
            output_loading_info=True,
            trust_remote_code=False,
            **changes,
        ),
        source,
    )
    return model, report


def _adapter_of(source: str | Path, config: Any) -> dict[str, Any]:
    """What to tell transformers so that the weights speak the tokenizer's language (MMS).

    Such a checkpoint keeps small adapters and a head for each language beside weights that are of
    one of them.
    """
    if getattr(config, "adapter_attn_dim", None) is None:
        return {}
    _refuse_unnamed_language(source)
    language = _settings_in(source, "tokenizer_config.json").get("target_lang")
    if language is None:
        return {}
    if _file_of(source, f"adapter.{language}.safetensors") is not None:
        return {"target_lang": language, "ignore_mismatched_sizes": True}
    if any(Path(source).glob("adapter.*")):
        raise InputError(
            f"{source} has no adapter.{language}.safetensors for its tokenizer's target_lang "
            f"{language!r}; put it there, or set target_lang to a language whose adapter is there"
        )
    return {}


def _file_of(source: str | Path, name: str) -> Path | None:
    """A file of a folder or hub id; None where it has none."""
    found = cached_file(
        str(source),
        name,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        _raise_exceptions_for_gated_repo=False,
    )
    return Path(found) if found else None


def _settings_in(source: str | Path, name: str) -> dict[str, Any]:
    """What a JSON file of a folder or hub id holds; nothing where there is none, or no such."""
    file = _file_of(source, name)
    try:
        held = json.loads(file.read_text(encoding="utf-8")) if file is not None else {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"cannot read the checkpoint {source}: {name} is not valid JSON; put it there anew"
        ) from error
    return held if isinstance(held, dict) else {}


def _stored_bits(source: str | Path, config: Any) -> int:
    """Of a number in the checkpoint: by its file's largest tensor, else as its config says."""
    file = Path(source) / SAFE_WEIGHTS_NAME
    if not Path(source).exists():
        cached = try_to_load_from_cache(str(source), SAFE_WEIGHTS_NAME)
        file = Path(cached) if isinstance(cached, str) else file
    if not file.is_file():
        dtype = getattr(config, "dtype", None)
        if isinstance(dtype, torch.dtype) and dtype.is_floating_point:
            return torch.finfo(dtype).bits
        return 32
    with safe_open(file, framework="pt") as tensors:
        slices = [tensors.get_slice(name) for name in tensors.keys()]  # noqa: SIM118
    largest = max(slices, key=lambda one: math.prod(one.get_shape()))
    found = re.search(r"\d+", largest.get_dtype())  # of F8_E4M3 the first
    return int(found[0]) if found else 32


def load(source: str | Path, decoding: Decoding | None = None) -> Recogniser:
    """Any recogniser: a compressed folder or a checkpoint of transformers, ready to transcribe.

    Args:
        decoding: how it writes; None is as the checkpoint says.

    Example:
        ```python
        recogniser = sottovoce.load("small")
        print(recogniser.sampling_rate, recogniser.family.model_type)
        ```
    """
    if not is_artifact(source):
        return _recogniser(source, _read_config(source), decoding)
    config = _read(lambda: _config_of(source), source)
    with prefix_errors(str(source)):
        check_config(config)
    model, processor = read_artifact(Path(source))
    family = family_of(model.config.model_type)
    _refuse_extractor(processor.feature_extractor, source, family, model.config)
    with prefix_errors(str(source)):
        return Recogniser(model.eval(), processor, family, decoding=decoding)


def load_backbone(source: str | Path, vocabulary: dict[str, int]) -> Any:
    """A CTC model over `vocabulary` on a pre-trained backbone; the head starts at random.

    For checkpoints without a head (hubert-large-ll60k). `<pad>` of the vocabulary is the blank.

    Raises:
        InputError: as `load_checkpoint`.
    """
    config = _read_config(source)
    family = family_of(config.model_type)
    model, report = _read_model(
        source,
        config,
        vocab_size=len(vocabulary),
        pad_token_id=vocabulary["<pad>"],
        ignore_mismatched_sizes=True,
    )
    _refuse_gaps(model, report, family, source)
    _refuse_non_finite(model, source)
    _ready(model)
    return model


def load_feature_extractor(source: str | Path) -> Any:
    """The checkpoint's feature extractor; raises InputError where it has none."""
    config = _read_config(source)
    extractor = _read(
        lambda: AutoFeatureExtractor.from_pretrained(source, trust_remote_code=False), source
    )
    _refuse_extractor(extractor, source, family_of(config.model_type), config)
    return extractor


def is_artifact(source: str | Path) -> bool:
    """Whether `source` is a folder with our quantization config in it."""
    path = Path(source) / "config.json"
    try:
        method = json.loads(path.read_text())["quantization_config"]["quant_method"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
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


def refuse_file(source: str | Path) -> None:
    """Raises InputError where `source` is a file of a model, and not its folder."""
    if Path(source).is_file():
        raise InputError(f"{source} is a file; give its folder, {Path(source).parent}")


def has_head(source: str | Path) -> bool:
    """Whether the checkpoint's config says that it was saved with its head."""
    config = _read_config(source)
    return family_of(config.model_type).model_class in (config.architectures or [])


def _read_config(source: str | Path) -> Any:
    refuse_file(source)
    if not (Path(source) / "config.json").is_file():  # it has one if transformers runs it
        refuse_export(source)
    config = _read(lambda: _config_of(source), source)
    family_of(config.model_type)
    with prefix_errors(str(source)):
        check_config(config)
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
    _check_files_of_settings(source)
    return AutoConfig.from_pretrained(source, trust_remote_code=False)


def _check_files_of_settings(source: str | Path) -> None:
    """Of a folder; a hub id's are checked once they are here."""
    if not Path(source).is_dir():
        return
    for name in ("config.json", "preprocessor_config.json", "processor_config.json"):
        settings = _settings_in(source, name)
        with prefix_errors(str(source)):
            check_settings(name, settings)


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


def read_processor(source: str | Path, family: Family, config: Any = None) -> Any:
    """A folder's or hub id's processor; raises InputError where it is not the family's.

    Args:
        config: of the model that it goes with; None where that is a graph.
    """
    processor_class = getattr(transformers, family.processor)
    _refuse_unreadable_tokenizer(source, family)
    _check_files_of_settings(source)
    # Not AutoProcessor: one with a language model would ask for packages that are not needed.
    processor = _read(
        lambda: processor_class.from_pretrained(source, trust_remote_code=False), source
    )
    if not hasattr(processor, "tokenizer") or not hasattr(processor, "feature_extractor"):
        raise _no_tokenizer(source, family)
    _refuse_extractor(processor.feature_extractor, source, family, config)
    return processor


def _refuse_extractor(extractor: Any, source: str | Path, family: Family, config: Any) -> None:
    """Raises InputError where a feature extractor is not the family's, or not set as it must be."""
    made = extractor.model_input_names[0]
    taken = getattr(transformers, family.model_class).main_input_name
    if made != taken:
        raise InputError(
            f"{source} has a {type(extractor).__name__}, which makes {made} and "
            f"the model takes {taken}; save its own there with `{family.processor}.save_pretrained`"
        )
    with prefix_errors(str(source)):
        check_extractor(extractor, config)


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
    _refuse_unnamed_language(source)


_TOKENIZER_TYPES: dict[str, tuple[type | UnionType, str]] = {
    "do_lower_case": (bool | None, "true or false"),
    "word_delimiter_token": (str | dict | None, "a token"),
    "target_lang": (str | None, "a language"),
}


def _refuse_tokenizer_settings(source: str | Path) -> None:
    """Where one is of a type that transformers would take for something else."""
    settings = _settings_in(source, "tokenizer_config.json")
    for name, (kind, meant) in _TOKENIZER_TYPES.items():
        if not isinstance(settings.get(name), kind):
            raise InputError(
                f"{source}: tokenizer_config.json has {name} {settings[name]!r}; it must be {meant}"
            )


def _refuse_unnamed_language(source: str | Path) -> None:
    """Where vocab.json holds a vocabulary for each language (MMS), one must be named."""
    _refuse_tokenizer_settings(source)
    vocabularies = _settings_in(source, "vocab.json")
    nested = [name for name, held in vocabularies.items() if isinstance(held, dict)]
    language = _settings_in(source, "tokenizer_config.json").get("target_lang")
    if (nested and language not in nested) or (vocabularies and language and not nested):
        held = f"the vocabularies of {_some(nested)}" if nested else "a single vocabulary"
        mend = "set it to one of these" if nested else "remove it"
        raise InputError(
            f"{source}: vocab.json holds {held}, and target_lang in tokenizer_config.json is "
            f"{language!r}; {mend}"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


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
    except InputError:
        raise
    except Exception as error:  # whichever part of transformers comes upon what is wrong
        reason = _first_line(error)
        if "custom code" in str(error):
            raise InputError(
                f"{source} brings code of its own, which is not run; give a checkpoint of a model "
                "that transformers itself has"
            ) from error
        if not Path(source).exists():
            reason = f"there is no such folder, and as a hub id: {reason}"
        raise InputError(
            f"cannot read the checkpoint {source}: {reason} "
            "(give a folder written by transformers' save_pretrained, or a hub id)"
        ) from error


def _first_line(error: Exception) -> str:
    """Of what an exception says; the second one too where the first announces it."""
    first, *others = str(error).strip().splitlines() or [repr(error)]
    return f"{first} {others[0].strip()}" if first.endswith(":") and others else first


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
    stacks = [f"{stack.layers}." for stack in family.stacks]
    unexpected = sorted(report["unexpected_keys"])
    unused = [name for name in unexpected if any(stack in name for stack in stacks)]
    if unused:
        raise InputError(
            f"{source} has {unused[0]}, which its config.json has no place for; correct the config"
        )


def _refuse_non_finite(model: Any, source: str | Path) -> None:
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{source}: tensor {name} holds values that are not finite")
