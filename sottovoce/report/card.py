"""The model card: the README.md that lies beside a compressed checkpoint."""

import re
from pathlib import Path

from huggingface_hub import ModelCardData

from sottovoce.files import write_text
from sottovoce.record import RunRecord
from sottovoce.report import numbers
from sottovoce.report.layers import cnns_sentence, depth_by_matrix, share_of
from sottovoce.report.markdown import fenced, table, text
from sottovoce.report.system_cells import HEADINGS, cells_of
from sottovoce.report.verdict import headline
from sottovoce.wording import plural

LOADING = """\
import sottovoce  # first: this teaches transformers to read the packed weights
from transformers import {auto_class}, AutoProcessor

processor = AutoProcessor.from_pretrained({folder!r})
model = {auto_class}.from_pretrained({folder!r})"""

WARNING = """\
> **Without `import sottovoce` the model is not loaded.** transformers then only warns that it does
> not know the quantization method, leaves the packed weights aside and starts the layers at
> random: what comes out is not this model."""


def write_card(record: RunRecord, path: Path, model_folder_name: str) -> None:
    """Write the card of a run's compressed checkpoint to `path`, whole or not at all.

    `model_folder_name` is what the loading example passes to `from_pretrained`.

    Raises:
        InputError: `path` cannot be written.
    """
    write_text(path, card(record, model_folder_name))


def card(record: RunRecord, model_folder_name: str) -> str:
    """The card as text."""
    compressed = record.systems[-1]
    parts = (
        f"---\n{_header(record)}\n---",
        f"# {text(record.source_name)}, compressed to {numbers.in_bits(compressed.nominal_bits)}",
        _verdicts(record),
        "## Load it",
        fenced(LOADING.format(folder=model_folder_name, auto_class=record.auto_class), "python"),
        WARNING,
        "## Size and word error rate",
        f"Evaluated on {text(record.evaluated_on)}, {plural(compressed.words, 'word')}; "
        f"intervals resampled by {text(compressed.resampled_by)}.",
        _systems(record),
        "## Bits per layer",
        _plan_summary(record),
        _plan(record),
        "## How it was made",
        fenced(record.command, "sh"),
        f"sottovoce {text(record.version)}, {text(record.created)}, on {text(record.device)} in "
        f"{numbers.duration(record.seconds)}.",
        *(f"- {text(note)}" for note in record.notes),
    )
    return "\n\n".join(parts) + "\n"


def _header(record: RunRecord) -> str:
    base_model = _hub_id(record.source)
    header = ModelCardData(
        library_name="transformers",
        pipeline_tag="automatic-speech-recognition",
        tags=["sottovoce", "speech", "quantization", "mixed-precision", "ctc"],
        metrics=["wer"],
        base_model=base_model,
        base_model_relation="quantized" if base_model else None,
    )
    return header.to_yaml().strip()


def _hub_id(source: str) -> str | None:
    """`source` where it names a model on the hub, None where it is a folder or a file."""
    named = re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", source)
    return source if named and not Path(source).exists() else None


def _verdicts(record: RunRecord) -> str:
    """The sentence that stands at the top of the report, then the other ones."""
    leading = headline(record.comparisons)
    if leading is None:
        return "Nothing was compared."
    others = [comparison for comparison in record.comparisons if comparison is not leading]
    sentences = [f"Against {text(leading.baseline)}: **{text(leading.sentence)}**"]
    sentences += [
        f"Against {text(comparison.baseline)}: {text(comparison.sentence)}" for comparison in others
    ]
    return "\n\n".join(sentences)


def _systems(record: RunRecord) -> str:
    first = record.systems[0]
    return table(HEADINGS, (cells_of(system, first) for system in record.systems))


def _plan_summary(record: RunRecord) -> str:
    whole = share_of(record.layers)
    return (
        f"{whole.layers} weight matrices of the encoder, {numbers.count(whole.weights)} weights in "
        f"{numbers.size(whole.bytes)}: {numbers.in_bits(whole.nominal_bits)} a weight, "
        f"{numbers.bits(whole.effective_bits)} with scales and padding counted. "
        f"{cnns_sentence(record)}"
    )


def _plan(record: RunRecord) -> str:
    grid = depth_by_matrix(record.layers)
    rows = ([grid.cells.get((depth, name)) for name in grid.matrices] for depth in grid.depths)
    return table(
        ("!depth", *(f"!{name}" for name in grid.matrices)),
        (
            (depth, *("" if row is None else row.bits for row in line))
            for depth, line in zip(grid.depths, rows, strict=True)
        ),
    )
