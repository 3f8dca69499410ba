"""A frozen teacher's distributions, computed once and kept on disk.

xu2025's teacher is the live full-precision model, run at every update. The start point itself,
frozen, needs no network at all during training: its log-probabilities for a training corpus are a
small file (16-bit; of a head with many labels the likeliest alone). It sees the speech unmasked and
without dropout. Where a head is taught by what the teacher writes, that is kept beside them.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import track
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sottovoce.errors import InputError
from sottovoce.files import damaged
from sottovoce.models.recogniser import Recogniser
from sottovoce.speech.batching import evaluation_order
from sottovoce.speech.loading import prefetched
from sottovoce.speech.utterance import Utterance
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.posteriors import Posteriors
from sottovoce.training.state import save_tensors
from sottovoce.version import __version__
from sottovoce.wording import plural

_UTTERANCES_A_SHARD = 2000
_LABELS = "/labels"
_TARGETS = "/targets"


class CachedTeacher:
    """What a teacher makes of training utterances, read from `folder` as it is needed.

    Raises:
        InputError: a file in it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._shard_of: dict[str, Any] = {}
        for path in sorted(folder.glob("*.safetensors")):
            try:
                shard = safe_open(path, framework="pt")
            except SafetensorError as error:
                raise damaged(path, error) from error
            self._shard_of |= dict.fromkeys(shard.keys(), shard)

    def __contains__(self, utterance: Utterance) -> bool:
        return utterance.id in self._shard_of

    def posteriors(self, ids: Sequence[str]) -> Posteriors:
        """Log-probabilities of the named utterances, [utterances, positions, labels], padded."""
        return Posteriors.padded(
            [Posteriors(self._tensor(name), self._tensor(name + _LABELS)) for name in ids]
        )

    def written(
        self, utterances: Sequence[Utterance], console: Console
    ) -> dict[str, tuple[int, ...]]:
        """What the teacher wrote of utterances, by id. Doubtful ones have no targets: they teach
        nothing, and their number is said.

        Raises:
            InputError: all of them are doubtful.
        """
        written = {
            utterance.id: tuple(self._tensor(utterance.id + _TARGETS).tolist())
            for utterance in utterances
        }
        doubtful = sum(not targets for targets in written.values())
        if doubtful == len(written):
            raise InputError(
                "none of the transcripts that the start point writes of the training speech is of "
                "use: they loop, never end or are unsure; give transcripts, and --no-unlabelled"
            )
        if doubtful:
            console.print(
                f"{doubtful} of {plural(len(written), 'transcript')} that the start point wrote "
                "are left out: they loop, never end or are unsure"
            )
        return written

    def _tensor(self, name: str) -> Any:
        shard = self._shard_of.get(name)
        return None if shard is None else shard.get_tensor(name)

    @classmethod
    def computed(
        cls,
        recogniser: Recogniser,
        speech: TrainingSpeech,
        seconds: float,
        folder: Path,
        console: Console,
        utterances: Sequence[Utterance] | None = None,
    ) -> "CachedTeacher":
        """Run the recogniser over training speech; what is there already is kept.

        Where another process is at it, this one waits, and takes what that one made.

        Args:
            seconds: of padded audio in a batch.
            folder: may serve several recognisers and corpora; each pair has a subfolder.
            utterances: of `speech`, those that will be asked for; None for all.
        """
        folder = folder / _fingerprint(recogniser, speech)
        folder.mkdir(parents=True, exist_ok=True)
        wanted = speech.corpus.utterances if utterances is None else utterances
        with _alone(folder, console):
            known = cls(folder)
            missing = [one for one in wanted if one not in known]
            _compute(recogniser, speech, missing, seconds, folder, console)
        return cls(folder)


@contextmanager
def _alone(folder: Path, console: Console) -> Iterator[None]:
    """Inside, no other process computes here. One that died keeps nobody waiting."""
    lock = FileLock(folder / "lock")
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        console.out(f"another process computes the teacher's outputs in {folder}: waiting for it")
        held = lock.acquire()
    with held:
        yield


def _compute(
    recogniser: Recogniser,
    speech: TrainingSpeech,
    utterances: Sequence[Utterance],
    seconds: float,
    folder: Path,
    console: Console,
) -> None:
    """Add shards for utterances that are in none."""
    first = 1 + max((int(path.stem) for path in folder.glob("*.safetensors")), default=-1)
    starts = range(0, len(utterances), _UTTERANCES_A_SHARD)
    recogniser.model.eval()
    for number, start in enumerate(
        track(starts, "teacher", console=console, disable=len(starts) < 2), first
    ):
        shard = utterances[start : start + _UTTERANCES_A_SHARD]
        chosen = iter(evaluation_order(shard, seconds))
        results: dict[str, Tensor] = {}
        for batch in prefetched(chosen, recogniser.sampling_rate):
            results |= _results(recogniser, speech, batch)
        save_tensors(folder / f"{number:08d}.safetensors", results)


def _results(
    recogniser: Recogniser, speech: TrainingSpeech, batch: Sequence[tuple[Utterance, np.ndarray]]
) -> dict[str, Tensor]:
    """What is kept of a batch, by the names that `CachedTeacher` reads."""
    head, results = recogniser.head, dict[str, Tensor]()
    writes = speech.awaits_targets
    targets = None if writes else [speech.targets[utterance.id] for utterance, _ in batch]
    with torch.inference_mode():
        features = recogniser.features([waveform for _, waveform in batch], targets)
        logits = recogniser.logits(features).log_softmax(2)
        kept = Posteriors(logits).likeliest(head.kept_labels)
    rows = zip(batch, features.positions.tolist(), strict=True)
    for row, ((utterance, _), length) in enumerate(rows):
        values = kept.log_probabilities[row, :length]
        results[utterance.id] = values.half().cpu().clone()
        if kept.labels is not None:
            results[utterance.id + _LABELS] = kept.labels[row, :length].int().cpu().clone()
        if writes:
            said = features.targets[row]
            sure = logits[row, range(length), said].mean().item()
            trusted = () if head.is_doubtful(said, sure) else said
            results[utterance.id + _TARGETS] = torch.tensor(trusted, dtype=torch.long)
    return results


def _fingerprint(recogniser: Recogniser, speech: TrainingSpeech) -> str:
    """A name for the recogniser and the utterances that the distributions follow from."""
    digest = hashlib.sha256(f"{__version__} {recogniser.fingerprint()}".encode())
    digest.update(speech.corpus.audio_fingerprint.encode())
    if recogniser.head.teaches_itself:  # the distributions depend on what is forced
        digest.update(json.dumps(speech.targets if speech.transcribed else None).encode())
    return digest.hexdigest()[:16]
