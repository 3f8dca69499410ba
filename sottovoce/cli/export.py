"""`sottovoce export`."""

from pathlib import Path
from typing import Annotated

import typer

from sottovoce.cli.arguments import CORPUS, Out
from sottovoce.cli.checks import check_places
from sottovoce.cli.printing import say
from sottovoce.exporters.targets import check_target
from sottovoce.wording import plural


def export(
    model: Annotated[
        str,
        typer.Argument(
            help="A compressed folder, or a full-precision checkpoint (hub id, folder)."
        ),
    ],
    out: Out,
    to: Annotated[
        str,
        typer.Option(
            help="onnx; onnx-nbits (linear layers stay packed in memory); openvino; or "
            "compressed-tensors (for stock transformers)."
        ),
    ] = "onnx",
    check: Annotated[
        Path | None,
        typer.Option(help=f"Compare the texts of both, utterance by utterance: {CORPUS}."),
    ] = None,
) -> None:
    """Write a model that runs without sottovoce; weights stay packed in it.

    A folder with the model, its processor, and a README with a program that runs it. The export is
    run once and its outputs are compared with PyTorch's.

    Example: sottovoce export small --to onnx --out small-onnx --check dev-clean
    """
    check_target(to)
    check_places(models=(model,), speech=(check,), out=out)
    from sottovoce.cli.loading import quiet_console
    from sottovoce.commands.export import export as run

    done = run(model, to, out, check=check, console=quiet_console())
    say(f"written: {out}, {done.bytes / 1e6:.2f} MB")
    for note in done.notes:
        say(f"note: {note}")
    say(f"logits differ from PyTorch's by {done.difference:.1e} of their size (on noise)")
    if done.differing is not None:
        same = done.utterances - len(done.differing)
        say(f"texts: the same in {same} of {plural(done.utterances, 'utterance')}")
        for name, before, after in done.differing:
            for line in (f"  {name}", f"    PyTorch: {before}", f"    {to}: {after}"):
                say(line)
