"""A frozen teacher's frame distributions, computed once and kept on disk.

xu2025's teacher is the live full-precision model, run at every update. The start point itself,
frozen, needs no network at all during training: its log-probabilities for a training corpus are a
small file (16-bit, 50 frames a second). It sees the speech unmasked and without dropout.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import track
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sottovoce.files import damaged
from sottovoce.models.recogniser import Recogniser
from sottovoce.speech.batching import evaluation_order
from sottovoce.speech.loading import prefetched
from sottovoce.speech.utterance import Utterance
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.state import save_tensors
from sottovoce.version import __version__

_UTTERANCES_A_SHARD = 2000


class CachedTeacher:
    """Log-probabilities of training utterances, read from `folder` as they are needed.

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

    def log_probabilities(self, ids: Sequence[str], device: torch.device) -> Tensor:
        """[utterances, frames, labels] of the named utterances, zero-padded, float32."""
        each = [self._shard_of[name].get_tensor(name) for name in ids]
        return pad_sequence(each, batch_first=True).float().to(device)

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
            _compute(recogniser, missing, seconds, folder, console)
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
            with torch.inference_mode():
                features = recogniser.features([waveform for _, waveform in batch])
                scores = recogniser.logits(features).log_softmax(2).half().cpu()
            frames = features.frames.tolist()
            for (one, _), rows, length in zip(batch, scores, frames, strict=True):
                results[one.id] = rows[:length].clone()
        save_tensors(folder / f"{number:08d}.safetensors", results)


def _fingerprint(recogniser: Recogniser, speech: TrainingSpeech) -> str:
    """A name for the recogniser and the utterances that the distributions follow from."""
    digest = hashlib.sha256(f"{__version__} {recogniser.fingerprint()}".encode())
    digest.update(speech.corpus.audio_fingerprint.encode())
    return digest.hexdigest()[:16]
