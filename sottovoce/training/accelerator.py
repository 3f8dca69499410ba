"""Where training runs, and in which arithmetic."""

from accelerate import Accelerator
from accelerate.state import AcceleratorState

from sottovoce.config.recipe import Training
from sottovoce.models.recogniser import best_device
from sottovoce.training.distributed import process_state


def accelerator_for(recipe: Training) -> Accelerator:
    """A fresh accelerator: this process's CUDA device where there are such, else the CPU."""
    process_state()  # an accelerator would lose patience with the leader
    # An earlier run in this process may have used another precision.
    AcceleratorState._reset_state()
    on_cpu = best_device().type == "cpu"
    return Accelerator(mixed_precision=recipe.mixed_precision, cpu=on_cpu)
