"""Small recognisers of other families, for the benchmarks: trained here, kept in `models/`.

    python -m benchmarks.train_references                     # all that are missing
    python -m benchmarks.train_references commands-conformer  # one of them
    python -m benchmarks.train_references --steps 5           # whether it works; keeps nothing

Each starts from `commands-wav2vec2`, the reference recogniser: every tensor of the same name and
shape is taken over. For HuBERT that is all of them (the two families compute alike), for WavLM all
but its gated position biases, for the Conformer the front end, which stays as it is (and three
vectors): its encoder starts at random. Then `finetune` trains it. An interrupted training goes on
where it stopped.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import transformers
from rich.console import Console

from benchmarks.inputs import ROOT, RUNS, Inputs, add_data, run
from sottovoce.commands.finetune import finetune
from sottovoce.config.recipe import Training
from sottovoce.files import write_text
from sottovoce.loading import load_checkpoint
from sottovoce.models.families import family_of
from sottovoce.models.recogniser import Recogniser
from sottovoce.training.run import unfinished

MODELS = ROOT / "benchmarks" / "models"
WORK = RUNS / "references"
LARGEST_FILE = 15_000_000  # bytes of weights that we keep in the repository

console = Console()


@dataclass(frozen=True)
class Reference:
    """A recogniser to train.

    Attributes:
        family: its `model_type`.
        recipe: of its training.
        changes: to the config of the recogniser that it starts from.
    """

    family: str
    recipe: Training
    changes: dict[str, Any] = field(default_factory=dict)


_ADAPTING = Training(
    steps=300, learning_rate=2e-4, seconds_per_batch=60.0, evaluations=3, augment=True
)
_FROM_SCRATCH = Training(
    steps=3600,
    learning_rate=1e-3,
    weight_decay=0.01,
    seconds_per_batch=60.0,
    evaluations=6,
    augment=True,
)

REFERENCES = {
    "commands-hubert": Reference("hubert", _ADAPTING),
    "commands-wavlm": Reference(
        "wavlm", _ADAPTING.replaced({"steps": 600}), {"num_buckets": 64, "max_bucket_distance": 256}
    ),
    # 2.4 million weights in the encoder's matrices; rows of 128 and 512 weights divide into blocks.
    "commands-conformer": Reference(
        "wav2vec2-conformer",
        _FROM_SCRATCH,
        {
            "hidden_size": 128,
            "intermediate_size": 512,
            "num_hidden_layers": 6,
            "conv_depthwise_kernel_size": 15,
            "conformer_conv_dropout": 0.1,
            "hidden_dropout": 0.1,
            "position_embeddings_type": "relative",
            "max_source_positions": 1000,
            # transformers builds this convolution and never calls it: as small as it can be.
            "num_conv_pos_embeddings": 1,
            "num_conv_pos_embedding_groups": 128,
        },
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train those that are missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data(parser)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(REFERENCES))
    parser.add_argument("--steps", type=int, help="so many updates, and keep nothing")
    given = parser.parse_args(arguments)
    inputs = Inputs.at(given.data)
    if unknown := set(given.names) - REFERENCES.keys():
        parser.error(f"{min(unknown)} is none of {', '.join(REFERENCES)}")
    for name in given.names or REFERENCES:
        console.rule(name)
        if given.steps:
            trained(inputs, name, WORK / f"{name}-tried-{given.steps}", given.steps)
        elif not (MODELS / name).exists():
            keep(trained(inputs, name, WORK / name), MODELS / name)


def trained(inputs: Inputs, name: str, out: Path, steps: int | None = None) -> Path:
    """The folder of a finished training, made now unless it is there."""
    if not out.exists():
        reference = REFERENCES[name]
        trying = {"steps": steps, "evaluations": 1} if steps else {}
        recipe = reference.recipe.replaced(trying)
        start = WORK / f"{name}-start"
        begun = unfinished(out).exists()
        if not begun:
            save_start(load_checkpoint(inputs.checkpoint), reference, start)
        finetune(start, inputs.train, inputs.dev, out, recipe, resume=begun, console=console)
    return out


def save_start(source: Recogniser, reference: Reference, folder: Path) -> None:
    """Write an untrained recogniser with all of `source`'s tensors that fit it."""
    model = start(source, reference)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    source.processor.save_pretrained(folder)


def start(source: Recogniser, reference: Reference) -> Any:
    """A model of the reference's family; tensors of the same name and shape are `source`'s."""
    family = family_of(reference.family)
    model_class = getattr(transformers, family.model_class)
    settings = {
        name: value
        for name, value in source.model.config.to_diff_dict().items()
        if name not in ("architectures", "model_type", "transformers_version")
    }
    transformers.set_seed(reference.recipe.seed)
    model = model_class(model_class.config_class(**settings | reference.changes))
    own = model.state_dict()
    theirs = {
        name.replace(f"{source.family.backbone}.", f"{family.backbone}.", 1): tensor
        for name, tensor in source.model.state_dict().items()
    }
    fitting = {
        name: tensor
        for name, tensor in theirs.items()
        if name in own and own[name].shape == tensor.shape
    }
    console.print(f"{len(fitting)} of {len(own)} tensors are the start's")
    model.load_state_dict(fitting, strict=False)
    return model


def keep(finished: Path, folder: Path) -> None:
    """Copy a finished training to where the benchmarks find it."""
    size = (finished / "model.safetensors").stat().st_size
    if size > LARGEST_FILE:
        raise SystemExit(f"{finished} has {size:,} bytes of weights; {LARGEST_FILE:,} is the most")
    shutil.copytree(finished, folder)
    thin_history(folder / "metrics.json")


def thin_history(file: Path) -> None:
    """Leave every hundredth update, and those that were evaluated."""
    facts = json.loads(file.read_text())
    facts["history"] = [
        point for point in facts["history"] if point["step"] % 100 == 0 or point["wer"] is not None
    ]
    write_text(file, json.dumps(facts, indent=1))


if __name__ == "__main__":
    run(main)
