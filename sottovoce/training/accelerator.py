"""Where training runs, and in which arithmetic."""

from accelerate import Accelerator
from accelerate.state import AcceleratorState

from sottovoce.errors import InputError
from sottovoce.models.recogniser import best_device
from sottovoce.recipe import Training


def accelerator_for(recipe: Training) -> Accelerator:
    """A fresh accelerator: a CUDA device where there is one, else the CPU.

    Raises:
        InputError: several processes were launched; each would train alone into the same folder.
    """
    # An earlier run in this process may have used another precision.
    AcceleratorState._reset_state()
    on_cpu = best_device().type == "cpu"
    accelerator = Accelerator(mixed_precision=recipe.mixed_precision, cpu=on_cpu)
    if accelerator.num_processes > 1:
        raise InputError("training in several processes is not supported yet: launch one")
    return accelerator
