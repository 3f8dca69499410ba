"""Rounding that makes up for itself: GPTQ (arXiv 2210.17323) on the project's grids.

Columns are rounded one after the other; what each rounding does to the layer's outputs is taken
back by the columns that are still to come. What it needs to know is H = sum x x^T over the inputs.
"""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from sottovoce.errors import InputError
from sottovoce.models.family import is_pointwise
from sottovoce.models.recogniser import Recogniser
from sottovoce.ptq.layers import Layer
from sottovoce.ptq.observing import Waveforms, run_observed
from sottovoce.quantization.affine import Affine
from sottovoce.quantization.quantizer import Quantizer

_DAMPING = 0.01
_BLOCK = 128


@torch.no_grad()
def second_moments(
    recogniser: Recogniser,
    layers: Mapping[str, Layer],
    batches: Callable[[], Iterator[Waveforms]],
) -> dict[str, Tensor]:
    """Matrix -> H, [inputs, inputs], float32; a layer that is never called is not there.

    Raises:
        InputError: inputs of a layer are not finite, or their squares are not.
    """
    matrices = {
        name: layer
        for name, layer in layers.items()
        if isinstance(layer, nn.Linear) or is_pointwise(layer)
    }
    moments: dict[str, Tensor] = {}

    def add(name: str, inputs: Tensor) -> None:
        channels_last = inputs if isinstance(layers[name], nn.Linear) else inputs.movedim(1, -1)
        rows = channels_last.detach().flatten(0, -2).float()
        product = rows.T @ rows
        moments[name] = moments[name] + product if name in moments else product

    run_observed(recogniser, matrices, batches(), add)
    for name, moment in moments.items():
        if not moment.isfinite().all():
            raise InputError(
                f"on the calibration speech the inputs of layer {name!r} grow beyond what can be "
                "squared; look for samples far outside -1 to 1, and whether the checkpoint "
                "recognises this speech at all (sottovoce evaluate)"
            )
    return moments


@torch.no_grad()
def inverse_factor(moments: Tensor) -> Tensor:
    """The upper Cholesky factor of H's inverse, damped: once a matrix, for all its widths.

    Args:
        moments: H, [columns, columns].
    """
    moments = moments.clone()
    dead = moments.diagonal() == 0
    moments.diagonal()[dead] = 1.0
    moments.diagonal().add_(_DAMPING * moments.diagonal().mean())
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(moments))
    return torch.linalg.cholesky(inverse, upper=True)


@torch.no_grad()
def gptq_round(weight: Tensor, affine: Affine, quantizer: Quantizer, upper: Tensor) -> Tensor:
    """The weight on its grid, rounded so that the layer's outputs change least.

    Args:
        weight: [rows, columns].
        affine: of the quantizer's groups.
        upper: the `inverse_factor` of H, [columns, columns].
    """
    weight = weight.clone().float()
    rounded = torch.empty_like(weight)
    columns = weight.shape[1]
    spread = Affine(*quantizer.spread(affine, columns))
    for start in range(0, columns, _BLOCK):
        stop = min(start + _BLOCK, columns)
        errors = torch.empty_like(weight[:, start:stop])
        for column in range(start, stop):
            exact = weight[:, column : column + 1]
            values = quantizer.rounded(exact, spread.of_column(column))
            rounded[:, column : column + 1] = values
            error = (exact - values) / upper[column, column]
            weight[:, column:stop] -= error * upper[column, column:stop]
            errors[:, column - start] = error.squeeze(1)
        weight[:, stop:] -= errors @ upper[start:stop, stop:]
    return rounded
