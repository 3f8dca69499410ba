"""The program itself, run in this process, and what it works on, written to disk."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TextIO
from unittest.mock import patch

from tiny import tiny_corpus, tiny_model, tiny_processor

from sottovoce.cli.app import run


@dataclass(frozen=True)
class Ended:
    """How a run of the program ended, and all that it printed."""

    status: int
    out: str
    err: str


def sottovoce(*words: object) -> Ended:
    """Run `sottovoce WORDS...`; the words are what a shell would have handed over."""
    out, err = StringIO(), StringIO()
    with ExitStack() as stack:
        stack.enter_context(patch.object(sys, "argv", ["sottovoce", *map(str, words)]))
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        stack.enter_context(_transformers_logs_to(err))
        try:
            run()
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
    return Ended(status, out.getvalue(), err.getvalue())


@contextmanager
def _transformers_logs_to(stream: TextIO) -> Iterator[None]:
    """A handler keeps the stream that was standard error when it was made."""
    handlers = [
        one
        for one in logging.getLogger("transformers").handlers
        if isinstance(one, logging.StreamHandler)
    ]
    kept = [handler.setStream(stream) for handler in handlers]
    try:
        yield
    finally:
        for handler, before in zip(handlers, kept, strict=True):
            if before is not None:
                handler.setStream(before)


def save_checkpoint(folder: Path, family: str = "wav2vec2", **changes: object) -> Path:
    """A tiny recogniser as transformers' own classes save it."""
    tiny_model(family, **changes).save_pretrained(folder)
    tiny_processor(folder.parent, family).save_pretrained(folder)
    return folder


def save_speech(folder: Path, utterances: int = 8) -> Path:
    """A manifest of `tiny_corpus`, with its audio beside it."""
    records = [
        {
            "id": one.id,
            "audio_filepath": f"{index}.wav",
            "duration": one.duration,
            "text": one.text,
            "speaker": one.speaker,
        }
        for index, one in enumerate(tiny_corpus(folder, utterances).utterances)
    ]
    return write_manifest(folder / "speech.jsonl", records)


def write_manifest(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path
