"""A packed weight, computed by nothing but the page on the format."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def documented_weight(
    tensors: Mapping[str, np.ndarray], name: str, precision: Mapping[str, Any], columns: int
) -> np.ndarray:
    """[rows, columns] of layer `name`; `precision` is its entry of the plan."""
    bits, codes = precision["bits"], tensors[f"{name}.codes"]
    if bits == 1.6:
        codes = (codes[..., None] // 3 ** np.arange(5) % 3).reshape(len(codes), -1)[:, :columns]
        lowest, shift = -1, 0.0
    else:
        stream = np.unpackbits(codes, axis=1, bitorder="little")[:, : columns * bits]
        codes = stream.reshape(len(codes), columns, bits) @ (1 << np.arange(bits))
        lowest = -(2 ** (bits - 1)) + (precision["grid"] == "symmetric")
        shift = 0.5 if precision["grid"] in ("half", "asymmetric") else 0.0
    levels = (codes + lowest + shift).astype(np.float32)

    def of_weights(number: np.ndarray) -> np.ndarray:
        if precision["granularity"] != "block" or number.ndim == 1:
            return number.astype(np.float32).reshape(-1, 1)
        return number.astype(np.float32).repeat(precision["block"], axis=1)[:, :columns]

    weight = levels * of_weights(tensors[f"{name}.scale"])
    if precision["grid"] == "asymmetric":
        weight = weight + of_weights(tensors[f"{name}.offset"])
    return weight
