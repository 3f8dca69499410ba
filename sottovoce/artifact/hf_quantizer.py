"""The artifact to `transformers`: importing this lets `from_pretrained` read one.

Every check is in a hook that `from_pretrained` calls, so both ways of loading are equally strict:

| hook                                    | checks                                       |
|-----------------------------------------|----------------------------------------------|
| `SottovoceConfig(...)`                  | version and plan                             |
| `_process_model_before_weight_loading`  | the plan's layers, every tensor in the file  |
| `_process_model_after_weight_loading`   | finite numbers, scales, codes                |
| `get_state_dict_and_metadata`           | what `save_pretrained` is about to store     |
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel
from transformers.quantizers.auto import (
    AUTO_QUANTIZATION_CONFIG_MAPPING,
    AUTO_QUANTIZER_MAPPING,
    register_quantization_config,
    register_quantizer,
)
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from sottovoce.artifact.attention import quantize_attention, quantized_attentions
from sottovoce.artifact.checks import (
    check_attention_scales,
    check_codes,
    check_finite,
    check_header,
    check_storable,
)
from sottovoce.artifact.format import METHOD, VERSION
from sottovoce.artifact.packed_model import packed_layers, replace_layers
from sottovoce.errors import InputError
from sottovoce.quantization.plan import Plan

# A reloaded module registers its new classes; `transformers` refuses a name it has.
AUTO_QUANTIZATION_CONFIG_MAPPING.pop(METHOD, None)
AUTO_QUANTIZER_MAPPING.pop(METHOD, None)


@register_quantization_config(METHOD)
class SottovoceConfig(QuantizationConfigMixin):
    """The `quantization_config` of config.json.

    Attributes:
        version: of the artifact format.
        plan: as `Plan.to_json` gives it.
        attention: names of the attentions whose products have 8-bit operands; it is not there where
            none have.

    Raises:
        InputError: the version is unknown, the plan or the list of attentions is not valid, or a
            field is unknown.
    """

    def __init__(
        self,
        plan: Mapping[str, Mapping[str, Any]] | None = None,
        version: int = VERSION,
        quant_method: str = METHOD,
        attention: Sequence[str] = (),
        **unknown: Any,
    ) -> None:
        if version != VERSION:
            raise InputError(
                f"artifact version {version!r} is not known, only {VERSION}; update sottovoce"
            )
        if unknown:
            raise InputError(f"quantization_config has an unknown field {next(iter(unknown))!r}")
        if not isinstance(plan, Mapping):
            raise InputError("quantization_config has no plan")
        self.quant_method = quant_method  # type: ignore[assignment]
        self.version = version
        self.plan = Plan.from_json(plan).to_json()
        if not isinstance(attention, list | tuple) or not all(
            type(name) is str for name in attention
        ):
            raise InputError(f"quantization_config's attention is {attention!r}, no list of names")
        if attention:
            self.attention = list(attention)


@register_quantizer(METHOD)
class SottovoceQuantizer(HfQuantizer):
    """Loads an artifact inside `from_pretrained` and lets `save_pretrained` write it again.

    A dtype asked of `from_pretrained` is that of the float tensors and of the packed layers'
    `weight`; scales stay float32 and the arithmetic too. Such a model runs but is not saved.
    """

    requires_calibration = True
    quantization_config: SottovoceConfig

    def _process_model_before_weight_loading(
        self,
        model: PreTrainedModel,
        checkpoint_files: list[str | PathLike[str]] | None = None,
        **_: Any,
    ) -> None:
        replace_layers(model, Plan.from_json(self.quantization_config.plan))
        quantize_attention(model, getattr(self.quantization_config, "attention", ()))
        if checkpoint_files is not None:
            check_header(checkpoint_files, model)

    def _process_model_after_weight_loading(self, model: PreTrainedModel, **_: Any) -> None:
        check_finite(model.state_dict())
        check_codes(packed_layers(model))
        check_attention_scales(quantized_attentions(model))
        # transformers 5.0 would save under the names of older checkpoints; `check_header` has seen
        # that nothing was renamed on the way in.
        model._weight_conversions = []  # type: ignore[assignment]

    def get_state_dict_and_metadata(
        self, model: PreTrainedModel
    ) -> tuple[dict[str, Tensor] | None, dict[str, str]]:
        check_storable(model.state_dict(), packed_layers(model))
        return None, {}

    def is_serializable(self) -> bool:
        return True

    @property
    def is_trainable(self) -> bool:
        return False
