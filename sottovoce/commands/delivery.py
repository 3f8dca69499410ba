"""The end of every compression: pack, read back, compare bit for bit, and write the papers."""

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
import torch
from rich.console import Console

from sottovoce.artifact.packed_layers import PackedLayer
from sottovoce.artifact.packed_model import plan_of
from sottovoce.artifact.writer import write_artifact
from sottovoce.command import command_line
from sottovoce.commands.scored_systems import (
    ScoredSystem,
    cnn_rows,
    comparison,
    evaluate_recogniser,
    float_system,
    got_worse,
    layer_rows,
    packed_system,
    system_name,
)
from sottovoce.config.decoding import Decoding
from sottovoce.errors import InputError
from sottovoce.files import write_text
from sottovoce.loading import is_artifact, load
from sottovoce.models.recogniser import Recogniser, best_device
from sottovoce.quantization.plan import Plan
from sottovoce.record import RunRecord, TrainingPoint
from sottovoce.report.card import write_card
from sottovoce.report.html import write_report
from sottovoce.runtime.recognition import name_of_speech, references
from sottovoce.scoring import Score, Transcripts
from sottovoce.speech.corpus import Corpus
from sottovoce.training.run import Run
from sottovoce.version import __version__
from sottovoce.wording import plural


def probe_logits(deployed: Callable[[], AbstractContextManager[Recogniser]]) -> torch.Tensor:
    """Logits of a second of noise.

    Raises:
        InputError: they are not finite.
    """
    with torch.inference_mode(), deployed() as recogniser:
        noise = np.random.default_rng(0).standard_normal(recogniser.sampling_rate)
        targets = [recogniser.head.sample_targets]
        logits = recogniser.logits(recogniser.features([noise.astype(np.float32)], targets))
    if not logits.isfinite().all():
        raise InputError(
            "the quantized model gives no finite outputs: if it was trained, lower --learning-rate "
            "and begin anew"
        )
    return logits


def pack_and_verify(
    folder: Path,
    recogniser: Recogniser,
    layers: Mapping[str, PackedLayer],
    plan: Plan,
    expected: torch.Tensor,
) -> Recogniser:
    """A packed model, written and read back: it computes the very logits that it should.

    Args:
        folder: replaced where it is there.
        expected: `probe_logits`'s logits of the model before it was packed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    write_artifact(folder, recogniser.model, recogniser.processor, layers, plan)
    return reload_and_verify(folder, recogniser, expected)


def reload_and_verify(folder: Path, like: Recogniser, expected: torch.Tensor) -> Recogniser:
    """A packed model as it was written.

    Args:
        like: what it was made from; it goes where that is, and decodes as that does.

    Raises:
        InputError: its `probe_logits` are not the expected ones.
    """
    found = load(folder, like.decoding).to(like.device)
    if not torch.equal(expected, probe_logits(lambda: nullcontext(found))):
        raise InputError(f"{folder} computes other logits than it should; please report this")
    return found


def measured_baselines(
    recogniser: Recogniser, evaluation: Corpus, baseline: str | Path | None, console: Console
) -> list[ScoredSystem]:
    """What a compressed model is compared with: the input checkpoint first, then what was asked."""
    before = evaluate_recogniser(recogniser, evaluation, "input checkpoint", console)
    console.print(f"input checkpoint: WER {100 * before.wer:.2f}%")
    return [
        ScoredSystem(float_system("input checkpoint", recogniser, before), before),
        *score_baselines(baseline, evaluation, before.reference, console, recogniser.decoding),
    ]


def score_baselines(
    model: str | Path | None,
    evaluation: Corpus,
    reference: Transcripts,
    console: Console,
    decoding: Decoding | None = None,
) -> list[ScoredSystem]:
    """A recogniser that the compressed one is compared with; none where None is asked for. Raises
    InputError where it writes in other characters than the reference."""
    if model is None:
        return []
    name, recogniser = system_name(model), load(model, decoding).to(best_device())
    if references(recogniser, evaluation).utterances != reference.utterances:
        raise InputError(f"{name} writes in other characters or case: no fair baseline")
    own = evaluate_recogniser(recogniser, evaluation, name, console)
    console.out(f"{name}: WER {100 * own.wer:.2f}%")
    return [scored_system(name, model, recogniser, own)]


def scored_system(name: str, model: str | Path, recogniser: Recogniser, own: Score) -> ScoredSystem:
    """A score with the size of the model that it is of, packed or not."""
    if is_artifact(model):
        shapes = recogniser.family.shapes(recogniser.model)
        plan = plan_of(recogniser.model)
        return ScoredSystem(packed_system(name, Path(model), plan, shapes, own), own)
    return ScoredSystem(float_system(name, recogniser, own), own)


def evaluate_and_report(
    run: Run,
    packed: Recogniser,
    baselines: Sequence[ScoredSystem],
    evaluation: Corpus,
    console: Console,
    *,
    begun: float,
    expected_bits: Mapping[str, float] | None = None,
    history: tuple[TrainingPoint, ...] = (),
    **facts: Any,
) -> RunRecord:
    """Measure a packed model and write its papers, the record among them, into the run's folder.

    It has eight parameters: what a pipeline hands over at its end.

    Args:
        baselines: what the result is compared with, the input checkpoint first.
        begun: when, on the monotonic clock.
        expected_bits: of each layer under the distribution that was learnt.
        facts: further fields of `RunRecord`.
    """
    after = evaluate_recogniser(packed, evaluation, "compressed", console)
    plan, shapes = plan_of(packed.model), packed.family.shapes(packed.model)
    record = RunRecord(
        version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command_line() or "# called from Python; recipe.toml holds every option",
        device=_device_name(packed.device),
        evaluated_on=name_of_speech(packed, evaluation),
        seconds=time.monotonic() - begun,
        systems=(
            *(one.system for one in baselines),
            packed_system("compressed", run.finished, plan, shapes, after),
        ),
        comparisons=tuple(comparison(one, after) for one in baselines),
        layers=layer_rows(packed, plan, shapes, expected_bits),
        cnns=cnn_rows(packed, plan),
        history=history,
        got_worse=got_worse(baselines[0].score, after),
        auto_class=packed.family.auto_class,
        **facts,
    )
    write_reports(run.finished, record, after, run.out.name)
    return record


def write_reports(folder: Path, record: RunRecord, score: Score, name: str) -> None:
    """Everything for people beside a packed model: metrics, recipe, transcripts, report, card."""
    metrics = json.dumps(record.to_json(), indent=1, ensure_ascii=False)
    write_text(folder / "metrics.json", metrics)
    write_text(folder / "recipe.toml", tomli_w.dumps(record.recipe))
    score.reference.write_trn(folder / "reference.trn")
    score.hypothesis.write_trn(folder / "compressed.trn")
    write_report(record, folder / "report.html")
    write_card(record, folder / "README.md", name)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {plural(torch.get_num_threads(), 'thread')}"
