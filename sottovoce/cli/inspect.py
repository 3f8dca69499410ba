"""`sottovoce inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from sottovoce.cli.printing import Console
from sottovoce.files import refuse_missing


def inspect(
    folder: Annotated[
        Path, typer.Argument(help="A folder that compress, quantize or calibrate wrote.")
    ],
) -> None:
    """A compressed model's plan: bits, grid, inputs and bytes of each layer; totals and ratio.

    Example: sottovoce inspect small
    """
    refuse_missing(folder)
    from sottovoce.artifact.attention import quantized_attentions
    from sottovoce.artifact.packed_model import plan_of
    from sottovoce.artifact.sizing import artifact_bytes, float_bytes
    from sottovoce.cli.loading import quiet_console
    from sottovoce.commands.float_inputs import attention_note
    from sottovoce.commands.scored_systems import cnn_rows, layer_rows
    from sottovoce.errors import InputError
    from sottovoce.loading import is_artifact, load, refuse_export, refuse_file
    from sottovoce.report import numbers
    from sottovoce.report.tables import plan_table

    refuse_file(folder)
    quiet_console()
    refuse_export(folder)
    if not is_artifact(folder):
        raise InputError(f"{folder} is not a folder that compress, quantize or calibrate wrote")
    recogniser = load(folder)
    plan, shapes = plan_of(recogniser.model), recogniser.family.shapes(recogniser.model)
    before, after = float_bytes(recogniser.model), artifact_bytes(folder)
    console = Console()
    rows = (*layer_rows(recogniser, plan, shapes), *cnn_rows(recogniser, plan))
    console.print(plan_table(rows))
    attention = attention_note(recogniser)
    if attention and (
        any(row.input_bits for row in rows) or quantized_attentions(recogniser.model)
    ):
        console.print(attention)
    console.print(
        f"encoder: {plan.nominal_bits(shapes):.2f} nominal bits, "
        f"{plan.effective_bits(shapes):.2f} effective; "
        f"{numbers.size(before)} -> {numbers.size(after)}, {numbers.ratio(before / after)}"
    )
