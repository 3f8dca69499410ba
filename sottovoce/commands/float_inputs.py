"""What keeps floating point where inputs were to take 8 bits: which layers, and why."""

from collections.abc import Sequence

from sottovoce.artifact.attention import quantizable_attentions, quantized_attentions
from sottovoce.artifact.packed_layers import PackedEmbedding
from sottovoce.artifact.packed_model import packed_layers
from sottovoce.graph.int8_weights import int8_obstacle
from sottovoce.models.recogniser import Recogniser
from sottovoce.ptq.arithmetic import multiply_adds
from sottovoce.ptq.sweep import CHANGES_AT_MOST
from sottovoce.wording import plural

_FEW = 8


def float_input_notes(recogniser: Recogniser) -> tuple[str, ...]:
    """What a user should know of a packed model whose inputs were to take 8 bits.

    An embedding has no inputs to round. Kernels cannot multiply a layer's weights, or the model
    never calls it; any other layer was left because words would change, and these are named.
    """
    layers = packed_layers(recogniser.model)
    work = multiply_adds(recogniser, layers)
    floating = {
        name: layer
        for name, layer in layers.items()
        if layer.precision.input_bits is None and not isinstance(layer, PackedEmbedding)
    }
    unfit = [
        name for name, one in floating.items() if int8_obstacle(one.precision, one.matrix_shape)
    ]
    uncalled = [name for name in floating if name not in work and name not in unfit]
    sensitive = [name for name in floating if name not in unfit and name not in uncalled]
    share = sum(work[name] for name in sensitive) / sum(work.values())
    changed = (
        f"rounding would change more than {100 * CHANGES_AT_MOST:g}% of the words "
        f"({100 * share:.1f}% of the layers' multiply-adds)"
    )
    reasons = (
        (sensitive, changed, len(sensitive)),
        (unfit, "8-bit kernels cannot multiply the weights", _FEW),
        (uncalled, "the model never calls a layer there", _FEW),
    )
    attention = attention_note(recogniser)
    none = "No layer takes 8-bit inputs: this model gains nothing by them."
    return (
        *((none,) if len(floating) == len(layers) else ()),
        *(_note(names, why, most) for names, why, most in reasons if names),
        *((attention,) if attention else ()),
    )


def attention_note(recogniser: Recogniser) -> str | None:
    """In how many layers attention's products have 8-bit operands; None where none can."""
    able = quantizable_attentions(recogniser.model)
    rounded = quantized_attentions(recogniser.model)
    if not able:
        return None
    return (
        f"Attention's products: 8-bit operands in {len(rounded)} of {plural(len(able), 'layer')}."
    )


def _note(names: Sequence[str], why: str, most: int) -> str:
    told = ", ".join(names[:most]) + (" and so on" if len(names) > most else "")
    return f"Floating-point inputs in {plural(len(names), 'layer')}, since {why}: {told}."
