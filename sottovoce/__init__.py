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
    from sottovoce.errors import InputError, Interrupted
    from sottovoce.models.checkpoint import load
    from sottovoce.models.recogniser import Recogniser
    from sottovoce.pipelines.calibration import calibrate
    from sottovoce.pipelines.comparing import compare_systems as compare
    from sottovoce.pipelines.evaluating import Evaluation, evaluate, transcribe
    from sottovoce.pipelines.exporting import Export, export
    from sottovoce.pipelines.full_precision import finetune
    from sottovoce.pipelines.joint import compress
    from sottovoce.pipelines.lossless import compress_lossless
    from sottovoce.pipelines.posttraining import quantize
    from sottovoce.pipelines.question import Question
    from sottovoce.plan import Plan, Precision
    from sottovoce.posttraining.dials import PostTraining
    from sottovoce.recipe import Recipe, Training, read_recipe

__all__ = [
    "Evaluation",
    "Export",
    "InputError",
    "Interrupted",
    "Plan",
    "PostTraining",
    "Precision",
    "Question",
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
