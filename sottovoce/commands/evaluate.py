"""A recogniser measured, or put to use."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from sottovoce.config.decoding import Decoding
from sottovoce.errors import InputError
from sottovoce.runtime.choices import AUTO
from sottovoce.runtime.chunking import Chunking
from sottovoce.runtime.engines import engine_of
from sottovoce.runtime.recognition import Recognised, recognise, references
from sottovoce.runtime.transcription import transcribe_files
from sottovoce.scoring import Score, score
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.corpus import SpeechPath


@dataclass(frozen=True)
class Evaluation:
    """How well a recogniser did, and how fast: `score.wer`, `recognised.real_time_factor`.

    Attributes:
        place: where it ran, such as "cpu" or "openvino".
        corpus: name of the speech, with how much of it was left out.
        normaliser: of both sides before words were compared; "none" for CTC models.
    """

    score: Score
    recognised: Recognised
    place: str
    corpus: str
    normaliser: str


def evaluate(
    model: str | Path,
    data: SpeechPath,
    console: Console | None = None,
    *,
    runtime: str = AUTO,
    decoding: Decoding | None = None,
) -> Evaluation:
    """Recognise a corpus and score what was recognised.

    Example:
        ```python
        evaluation = sottovoce.evaluate("small", "dev.jsonl")
        print(evaluation.score.wer, evaluation.recognised.real_time_factor)
        ```

    Args:
        model: a compressed or exported folder, or a full-precision checkpoint (hub id, folder).
        data: a corpus with transcripts, in any form that `read_corpus` reads.
        runtime, decoding: as `engine_of` takes them.

    Raises:
        InputError: something cannot be read, a transcript does not suit the vocabulary, or the
            runtime cannot run this model.
    """
    engine, corpus = engine_of(model, runtime, decoding), read_corpus(data)
    reference = references(engine, corpus)
    recognised = recognise(engine, corpus, console=console)
    return Evaluation(
        score(reference, recognised.transcripts),
        recognised,
        engine.place,
        corpus.name,
        engine.labels.normaliser,
    )


def transcribe(
    model: str | Path,
    files: Sequence[str | Path],
    chunking: Chunking | None = None,
    *,
    runtime: str = AUTO,
    decoding: Decoding | None = None,
    refused: Callable[[InputError], None] | None = None,
    console: Console | None = None,
) -> Iterator[tuple[Path, str]]:
    """Each file with what is said in it; any rate, length and format that soundfile reads.

    The parameters are the command's.

    Example:
        ```python
        for path, text in sottovoce.transcribe("small", ["interview.wav"]):
            print(path.name, text)
        ```

    Args:
        model: as in `evaluate`.
        chunking: how long files are cut; None is as measured to be good.
        runtime, decoding: as `engine_of` takes them.
        refused: is told of a file that cannot be transcribed, and the others go on.
        console: where a progress bar is drawn; None draws none.

    Raises:
        InputError: without `refused`, a file cannot be read or has less than a frame.
    """
    paths = [Path(file) for file in files]
    engine = engine_of(model, runtime, decoding)
    yield from transcribe_files(
        engine, paths, chunking or Chunking(), refused=refused, console=console
    )
