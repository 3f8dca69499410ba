"""Full-precision fine-tuning from end to end: a start point or a baseline."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import set_seed

from sottovoce.commands.prepared import Prepared
from sottovoce.commands.scored_systems import (
    ScoredSystem,
    evaluate_recogniser,
    float_system,
    print_warnings,
)
from sottovoce.commands.stages import Context, Stages
from sottovoce.config.decoding import Decoding
from sottovoce.config.recipe import Training
from sottovoce.errors import prefix_errors
from sottovoce.files import write_text
from sottovoce.loading import (
    MissingHead,
    has_head,
    load_backbone,
    load_checkpoint,
    load_feature_extractor,
)
from sottovoce.models.families import family_of
from sottovoce.models.heads.ctc import frame_labels
from sottovoce.models.processor import new_processor
from sottovoce.models.recogniser import Recogniser
from sottovoce.record import TrainingPoint
from sottovoce.runtime.recognition import references
from sottovoce.scoring.foresight import silence_warnings
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import Corpus, SpeechPath
from sottovoce.speech.labels import new_vocabulary
from sottovoce.speech.overlap import overlap_warnings
from sottovoce.training.accelerator import accelerator_for
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.distributed import is_main_process
from sottovoce.training.full_precision import FullPrecision
from sottovoce.training.run import Run
from sottovoce.wording import plural

_SHOWN = 100


def finetune(
    source: str | Path,
    train_on: SpeechPath,
    evaluate_on: SpeechPath,
    out: str | Path,
    recipe: Training | None = None,
    *,
    decoding: Decoding | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> ScoredSystem:
    """Fine-tune a recogniser in full precision with its head's own loss.

    Example:
        ```python
        sottovoce.finetune("start", "train.jsonl", "dev.jsonl", "u1", sottovoce.Training(steps=2))
        ```

    The parameters are the command's.

    Args:
        source: hub id or folder. A checkpoint without a CTC head gets one, over the characters of
            the training transcripts, with the processor to match.
        train_on, evaluate_on: corpora, in any form that `read_corpus` reads.
        out: folder to write; it must not exist.
        decoding: how an attention decoder writes; None is as the checkpoint says.

    Returns:
        The result's score on `evaluate_on`.

    Raises:
        InputError: something given cannot be used; nothing has been written then.
    """
    recipe, out = recipe or Training(), Path(out)
    console = console or Console(stderr=True)
    start = _prepared(source, train_on, evaluate_on, recipe, console, decoding)
    settings = {"recipe": recipe.to_record()}
    with Run.open(out, start.inputs, settings, resume=resume, console=console) as run:
        print_warnings(overlap_warnings(start.speech.corpus, start.evaluation), console)
        accelerator = accelerator_for(recipe)
        stages = Stages(start.inputs, "", None, run.work)
        context = Context(start.speech, start.evaluation, accelerator, None, stages, console)
        recogniser = start.recogniser
        objective = FullPrecision(recogniser, recipe, accelerator)
        history = context.train(objective, recipe, run.work)
        recogniser.stored_bits = 32  # whatever the start was kept in
        after = evaluate_recogniser(recogniser, start.evaluation, "fine-tuned", console)
        print_warnings(silence_warnings(after, str(out)), console)
        measured = ScoredSystem(
            float_system("full precision, fine-tuned", recogniser, after), after
        )
        if is_main_process():
            _write(recogniser, measured, recipe, history, run.finished)
        run.publish()
    return measured


def _prepared(
    source: str | Path,
    train_on: SpeechPath,
    evaluate_on: SpeechPath,
    recipe: Training,
    console: Console,
    decoding: Decoding | None,
) -> Prepared:
    """The start point, with a new head where it has none, and the speech."""
    corpus, evaluation = read_corpus(train_on), read_corpus(evaluate_on)
    set_seed(recipe.seed)  # the start of a new head
    recogniser, head = _with_own_head(source, decoding), str(source)
    if recogniser is None:
        recogniser = _with_new_head(source, corpus)
        head = f"a new head over {_letters(recogniser)} of {corpus.name}"
        console.out(f"{source} has no CTC head: it gets {head}")
    speech = TrainingSpeech(corpus, recogniser)
    with prefix_errors(head):
        references(recogniser, evaluation)  # refuses now what the first evaluation would refuse
    return Prepared(source, recogniser, speech, evaluation, console)


def _write(
    recogniser: Recogniser,
    measured: ScoredSystem,
    recipe: Training,
    history: tuple[TrainingPoint, ...],
    folder: Path,
) -> None:
    """Write what was trained, and what it was measured to be, anew."""
    shutil.rmtree(folder, ignore_errors=True)
    recogniser.model.save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):  # which safetensors lets no one else read
        shutil.copymode(folder / "config.json", weights)
    recogniser.processor.save_pretrained(folder)
    facts: dict[str, Any] = {
        "system": asdict(measured.system),
        "recipe": recipe.to_record(),
        "history": [asdict(point) for point in history],
    }
    write_text(folder / "metrics.json", json.dumps(facts, indent=1))
    write_text(folder / "recipe.toml", recipe.to_toml())


def _with_own_head(source: str | Path, decoding: Decoding | None) -> Recogniser | None:
    """The checkpoint where it has a CTC head: config.json may name one that the weights lack."""
    if not has_head(source):
        return None
    try:
        return load_checkpoint(source, decoding)
    except MissingHead:
        return None


def _with_new_head(source: str | Path, corpus: Corpus) -> Recogniser:
    vocabulary = new_vocabulary(utterance.text for utterance in corpus.utterances)
    model = load_backbone(source, vocabulary)
    family = family_of(model.config.model_type)
    processor = new_processor(vocabulary, load_feature_extractor(source), family)
    return Recogniser(model, processor, family)


def _letters(recogniser: Recogniser) -> str:
    written: Sequence[str] = [
        one for one in frame_labels(recogniser).written.values() if one.strip()
    ]
    more = "..." if len(written) > _SHOWN else ""
    return f"{plural(len(written), 'character')} ({''.join(written[:_SHOWN])}{more})"
