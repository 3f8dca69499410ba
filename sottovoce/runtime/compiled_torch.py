"""PyTorch, compiled: bfloat16 on devices that compute in it, float32 elsewhere."""

import copy
from functools import partial

import numpy as np
import torch
from torch import nn

from sottovoce.artifact.packed_model import packed_layers
from sottovoce.compiler import require_compiler
from sottovoce.graph.interface import Interface
from sottovoce.graph.whole_model import traceable
from sottovoce.models.heads.ctc import frame_labels
from sottovoce.models.recogniser import Recogniser
from sottovoce.quiet import quiet
from sottovoce.runtime.graph_engine import GraphEngine, Run
from sottovoce.runtime.integer_layers import round_inputs

_SECONDS = 3  # of silence, to compile with


def compile_recogniser(recogniser: Recogniser, device: torch.device) -> GraphEngine:
    """A recogniser on a device, compiled for utterances of any length.

    Args:
        recogniser: has its model's dtype changed; not to be used any more.

    Raises:
        InputError: there is no compiler.
    """
    interface, labels = Interface.of(recogniser), frame_labels(recogniser)
    front_end, extractor = recogniser.family.front_end, recogniser.processor.feature_extractor
    prepare = partial(front_end.graph_inputs, extractor)
    silence = prepare(np.zeros(_SECONDS * recogniser.sampling_rate, np.float32))
    with quiet():
        run = run_compiled(runnable(recogniser, precision_on(device)).to(device), silence)
    return GraphEngine(f"{device.type}, compiled", run, prepare, interface, labels)


def precision_on(device: torch.device) -> torch.dtype:
    """What a device computes fast in."""
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if native else torch.float32


def runnable(recogniser: Recogniser, dtype: torch.dtype) -> nn.Module:
    """A recogniser as one function, weights dequantized: speech [1, ...] in, logits out.

    Args:
        recogniser: has its model's dtype changed.
        dtype: of weights and of what is computed, but for 8-bit products and their sums.
    """
    packed = packed_layers(recogniser.model.to(dtype))
    with torch.no_grad(), traceable(recogniser) as model:
        round_inputs(recogniser.model, packed)
        return copy.deepcopy(model)


def run_compiled(model: nn.Module, example: np.ndarray) -> Run:
    """Compile a whole model, where it is, for speech of any length.

    A single frame is left to the model itself: what is traced holds from two frames on.
    """
    device = next(model.parameters()).device
    speech, any_length = torch.from_numpy(example).to(device), {1: torch.export.Dim.AUTO}
    with torch.no_grad():
        program = torch.export.export(model, (speech,), dynamic_shapes={"speech": any_length})
    (lengths,) = program.range_constraints.values()
    several_frames = torch.compile(program.module(), dynamic=True)

    def run(inputs: np.ndarray) -> np.ndarray:
        compute = several_frames if inputs.shape[1] >= lengths.lower else model
        with torch.inference_mode():
            logits: np.ndarray = compute(torch.from_numpy(inputs).to(device)).float().cpu().numpy()
        return logits

    with require_compiler("this model", "use --runtime torch"):
        run(example)
    return run
