"""Tables of positions that transformers' Conformers keep from one batch for the next.

A rotary table stays as it was made: rounded to bfloat16, on a device that the model has left, or in
inference mode, where gradients refuse it. A relative one is rounded by the first batch in bfloat16,
and turned back into float32 it is still rounded.
"""

from typing import Any

import torch
from torch import Tensor, nn


def clear_stale_positions(encoder: nn.Module) -> None:
    """Have the next batch make its tables anew, where those of the last would not serve it."""
    module: Any
    for module in encoder.modules():
        if hasattr(module, "cached_rotary_positional_embedding"):
            module.cached_sequence_length = None
        table = getattr(module, "pe", None)
        if isinstance(table, Tensor) and hasattr(module, "extend_pe") and _is_stale(table):
            length = (table.shape[1] + 1) // 2  # one row for every distance, to both sides
            with torch.inference_mode(False):
                like = torch.empty(1, length, device=table.device)
                module.pe = module.extend_pe(like)


def _is_stale(table: Tensor) -> bool:
    rounded = table.dtype != torch.float32 and not torch.is_autocast_enabled(table.device.type)
    return rounded or (table.is_inference() and torch.is_grad_enabled())
