"""sottovoce: speech foundation models made small and fast, and the proof that nothing was lost.

    import sottovoce
    sottovoce.compress("checkpoint", "train.jsonl", "dev.jsonl", "small", sottovoce.Recipe(bits=4))
    recogniser = sottovoce.load("small")

Importing the package also teaches `transformers` to read what it writes:
`AutoModelForCTC.from_pretrained("small")`.

The program `sottovoce` alone imports the package without all this (docs/decisions/0028).
"""

import sys

from sottovoce.version import __version__

if "sottovoce_program" not in sys.modules:
    import sottovoce.artifact  # noqa: F401 - registers with transformers
    from sottovoce.commands.calibrate import calibrate
    from sottovoce.commands.compare import compare_systems as compare
    from sottovoce.commands.compress import compress
    from sottovoce.commands.criterion import LosslessCriterion
    from sottovoce.commands.evaluate import Evaluation, evaluate, transcribe
    from sottovoce.commands.export import Export, export
    from sottovoce.commands.finetune import finetune
    from sottovoce.commands.lossless import compress_lossless
    from sottovoce.commands.quantize import quantize
    from sottovoce.config.post_training import PostTraining
    from sottovoce.config.recipe import Recipe, Training, read_recipe
    from sottovoce.errors import InputError, Interrupted
    from sottovoce.loading import load
    from sottovoce.models.recogniser import Recogniser
    from sottovoce.quantization.plan import Plan, Precision

__all__ = [
    "Evaluation",
    "Export",
    "InputError",
    "Interrupted",
    "LosslessCriterion",
    "Plan",
    "PostTraining",
    "Precision",
    "Recipe",
    "Recogniser",
    "Training",
    "__version__",
    "calibrate",
    "compare",
    "compress",
    "compress_lossless",
    "evaluate",
    "export",
    "finetune",
    "load",
    "quantize",
    "read_recipe",
    "transcribe",
]
