"""Settings that a checkpoint brings beside its weights: each is held against what can be meant.

transformers reads most values as they stand, and what is meant as 16000 and says "16000" or 10**12
fails far from here, or fills the memory first.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from sottovoce.errors import InputError

_LARGEST = 1 << 20
"""No size, count or length in a config is larger."""
_SIZES = {
    "num_hidden_layers": 1024,
    "num_attention_heads": 1024,
    "num_key_value_heads": 1024,
    "hidden_size": 1 << 16,
    "d_model": 1 << 16,
    "encoder_layers": 1024,
    "decoder_layers": 1024,
    "encoder_attention_heads": 1024,
    "decoder_attention_heads": 1024,
    "encoder_ffn_dim": 1 << 18,
    "decoder_ffn_dim": 1 << 18,
    "max_source_positions": 1 << 16,
    "max_target_positions": 1 << 16,
    "chunk_length": 3600,
    "intermediate_size": 1 << 18,
    "vocab_size": _LARGEST,
    "conv_dim": 1 << 16,
    "conv_kernel": 1 << 12,
    "conv_stride": 1 << 12,
    "conv_kernel_size": 1 << 12,
    "conv_depthwise_kernel_size": 1 << 12,
    "num_conv_pos_embeddings": 1 << 12,
    "num_conv_pos_embedding_groups": 1 << 12,
    "feature_projection_input_dim": 1 << 16,
    "mask_time_length": 10_000,
    "mask_feature_length": 10_000,
    "num_mel_bins": 1 << 12,
    "subsampling_factor": 1 << 12,
    "subsampling_conv_channels": 1 << 16,
    "subsampling_conv_kernel_size": 1 << 12,
    "subsampling_conv_stride": 1 << 12,
    "feature_size": 1 << 12,
    "hop_length": 1 << 16,
    "n_fft": 1 << 16,
    "win_length": 1 << 16,
    "stride": 1 << 12,
}
"""Whole numbers from 1 on, with the largest that can be meant."""
_LISTS = ("conv_dim", "conv_kernel", "conv_stride")
_RATES = (1_000, 384_000)
"""Of audio, Hz."""
_PARTS = ("encoder_config", "feature_extractor")
_SHARES = ("dropout", "_prob", "layerdrop", "dropout_positions")
"""What ends so is a share from 0 to 1."""
_SWITCHES = ("do_normalize", "return_attention_mask", "do_stable_layer_norm", "conv_bias")


def check_settings(file: str, settings: Mapping[str, Any]) -> None:
    """Raises InputError where a file has a setting of a kind or size that no model has.

    Before transformers reads it: some fill the memory while they are read, such as the labels of
    "num_labels" and the filters of "num_mel_bins".
    """
    for name, value in _flat(settings):
        _check(file, name, value)


def check_config(config: Any) -> None:
    """Raises InputError where a model's settings, defaults included, do not suit each other or
    cannot be meant."""
    settings = config.to_dict()
    check_settings("config.json", settings)
    attention = str(getattr(config, "_attn_implementation", None))
    if "/" in attention:
        raise InputError(
            f"config.json names code for its attention, {attention}, which is not run; remove "
            "attn_implementation"
        )
    encoder = settings.get("encoder_config") or settings
    width_name = "hidden_size" if "hidden_size" in encoder else "d_model"
    width = encoder[width_name]
    for name in ("num_attention_heads", "encoder_attention_heads", "decoder_attention_heads"):
        if name in encoder and width % encoder[name]:
            raise InputError(
                f"config.json has {name} {encoder[name]}, which does not divide {width_name} "
                f"{width}; correct it"
            )
    masked = encoder.get("mask_feature_length", 0)
    if encoder.get("mask_feature_prob", 0) and masked >= width:
        raise InputError(
            f"config.json has mask_feature_length {masked}, which leaves nothing of {width_name} "
            f"{width}; make it shorter, or mask_feature_prob 0"
        )


def check_extractor(extractor: Any, config: Any) -> None:
    """Raises InputError where a feature extractor's settings cannot be meant, or its features are
    not those that the model takes."""
    file = "preprocessor_config.json (or processor_config.json)"
    for name, value in extractor.to_dict().items():
        _check(file, name, value)
    channels = getattr(config, "feature_projection_input_dim", None)
    if channels is not None:
        made = extractor.feature_size * extractor.stride
    elif hasattr(config, "encoder_config"):
        channels, made = config.encoder_config.num_mel_bins, extractor.feature_size
    elif hasattr(config, "max_source_positions") and hasattr(config, "num_mel_bins"):
        channels, made = config.num_mel_bins, extractor.feature_size
    if channels is not None and made != channels:
        raise InputError(
            f"{file} gives {made} features a frame, and the model takes {channels}; put its own "
            "feature extractor there"
        )


def _flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if name in _PARTS and isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield name, value


def _check(file: str, name: str, value: Any) -> None:
    """One setting; those that say nothing (null) or are no numbers are left to transformers."""
    lowest, highest = (1, _SIZES[name]) if name in _SIZES else _RATES
    if name == "sampling_rate" or (name in _SIZES and value is not None):
        listed = isinstance(value, list | tuple) and name in _LISTS
        for one in value if listed else (value,):
            if type(one) is not int or not lowest <= one <= highest:
                raise InputError(
                    f"{file} has {name} {one!r}; it must be a whole number from {lowest} to "
                    f"{highest:,}"
                )
    elif name.endswith(_SHARES) and value is not None:
        if not _is_number(value) or not 0 <= value <= 1:
            raise InputError(f"{file} has {name} {value!r}; it must be a number from 0 to 1")
    elif name in _SWITCHES and not isinstance(value, bool | None):
        raise InputError(f"{file} has {name} {value!r}; it must be true or false")
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{file} has {name} {value!r}; it must be a finite number")
    elif name == "padding_value" and not _is_number(value):
        raise InputError(f"{file} has {name} {value!r}; it must be a number")
    elif type(value) is int and abs(value) > _LARGEST:
        raise InputError(f"{file} has {name} {value:,}; no model has more than {_LARGEST:,}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
