"""Full-precision fine-tuning from end to end: the start point of a compression, and P1's U1."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import set_seed

from sottovoce.errors import naming
from sottovoce.files import write_text
from sottovoce.models.checkpoint import (
    has_ctc_head,
    load_backbone,
    load_checkpoint,
    load_feature_extractor,
)
from sottovoce.models.families import family_of
from sottovoce.models.processor import new_processor
from sottovoce.models.recogniser import Recogniser
from sottovoce.pipelines.measured import Measured, float_system, scored, warn
from sottovoce.recipe import Training
from sottovoce.report.record import TrainingPoint
from sottovoce.runtime.recognition import references
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.labels import new_vocabulary
from sottovoce.speech.overlap import overlap_told
from sottovoce.training.accelerator import accelerator_for
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.full_precision import FullPrecision
from sottovoce.training.loop import train
from sottovoce.training.processes import leads, meet
from sottovoce.training.state import WorkFolder
from sottovoce.version import __version__
from sottovoce.wording import counted

_SHOWN = 100


def finetune(
    source: str | Path,
    train_on: str | Path,
    evaluate_on: str | Path,
    out: str | Path,
    recipe: Training | None = None,
    *,
    resume: bool = False,
    console: Console | None = None,
) -> Measured:
    """Fine-tune a recogniser in full precision with the CTC loss.

    Example:
        ```python
        sottovoce.finetune("start", "train.jsonl", "dev.jsonl", "u1", sottovoce.Training(steps=2))
        ```

    Args:
        source: hub id or folder. A checkpoint without a CTC head gets one, over the characters of
            the training transcripts, with the processor to match.
        train_on, evaluate_on: corpora, in any form that `read_corpus` reads.
        out: folder to write; it must not exist.

    Returns:
        The result's score on `evaluate_on`.

    Raises:
        InputError: something given cannot be used; nothing has been written then.
    """
    recipe, out = recipe or Training(), Path(out)
    console = console or Console(stderr=True)
    speech_corpus, evaluation = read_corpus(train_on), read_corpus(evaluate_on)
    set_seed(recipe.seed)  # the start of a new head
    if has_ctc_head(source):
        recogniser, head = load_checkpoint(source), str(source)
    else:
        recogniser = _with_new_head(source, speech_corpus)
        head = f"a new head over {_letters(recogniser)} of {speech_corpus.name}"
        console.out(f"{source} has no CTC head: it gets {head}")
    speech = TrainingSpeech(speech_corpus, recogniser)
    with naming(head):
        references(recogniser, evaluation)  # refuses now what the first evaluation would refuse
    settings = {
        "version of sottovoce": __version__,
        "model": recogniser.fingerprint(),
        "training speech": speech_corpus.fingerprint,
        "evaluation speech": evaluation.fingerprint,
        "recipe": recipe.to_record(),
    }
    work = WorkFolder.open(out, settings, resume)
    warn(overlap_told(speech_corpus, evaluation), console)

    def dev_wer(present: Recogniser) -> float:
        return scored(present, evaluation, "evaluating", console).wer

    objective = FullPrecision(recogniser, recipe, accelerator_for(recipe))
    with work.forgotten_while_empty():
        history = train(objective, speech, recipe, work, dev_wer, console)
    recogniser.stored_bits = 32  # whatever the start was kept in
    after = scored(recogniser, evaluation, "fine-tuned", console)
    measured = Measured(float_system("full precision, fine-tuned", recogniser, after), after)
    if leads():
        _deliver(recogniser, measured, recipe, history, work, out)
    meet()
    return measured


def _deliver(
    recogniser: Recogniser,
    measured: Measured,
    recipe: Training,
    history: tuple[TrainingPoint, ...],
    work: WorkFolder,
    out: Path,
) -> None:
    """Write what was trained beside its place, then put it there."""
    finished = work.path / "finished"
    shutil.rmtree(finished, ignore_errors=True)
    recogniser.model.save_pretrained(finished)
    for weights in finished.glob("*.safetensors"):  # which safetensors lets no one else read
        shutil.copymode(finished / "config.json", weights)
    recogniser.processor.save_pretrained(finished)
    facts: dict[str, Any] = {
        "system": asdict(measured.system),
        "recipe": recipe.to_record(),
        "history": [asdict(point) for point in history],
    }
    write_text(finished / "metrics.json", json.dumps(facts, indent=1))
    write_text(finished / "recipe.toml", recipe.to_toml())
    os.replace(finished, out)
    shutil.rmtree(work.path)


def _with_new_head(source: str | Path, corpus: Corpus) -> Recogniser:
    vocabulary = new_vocabulary(utterance.text for utterance in corpus.utterances)
    model = load_backbone(source, vocabulary)
    family = family_of(model.config.model_type)
    processor = new_processor(vocabulary, load_feature_extractor(source), family)
    return Recogniser(model, processor, family)


def _letters(recogniser: Recogniser) -> str:
    written: Sequence[str] = [one for one in recogniser.labels.written.values() if one.strip()]
    more = "..." if len(written) > _SHOWN else ""
    return f"{counted(len(written), 'character')} ({''.join(written[:_SHOWN])}{more})"
