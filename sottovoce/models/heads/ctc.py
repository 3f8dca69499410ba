"""Connectionist temporal classification: a distribution over labels at every encoder frame."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sottovoce.config.decoding import Decoding
from sottovoce.errors import InputError
from sottovoce.models.features import Features, Targets
from sottovoce.speech.labels import Labels, least_frames
from sottovoce.speech.subwords import labels_of

if TYPE_CHECKING:
    from sottovoce.models.recogniser import Recogniser


@dataclass(frozen=True)
class CtcHead:
    """Positions are the encoder's frames, and outputs do not depend on targets."""

    labels: Labels
    hears_whole_recordings: bool = False
    teaches_itself: bool = False
    kept_labels: int | None = None
    sample_targets: tuple[int, ...] = ()

    @classmethod
    def of(cls, model: Any, processor: Any, decoding: Decoding) -> "CtcHead":
        """Read the tokenizer.

        Raises:
            InputError: it is of no kind that labels, or has more labels than the model gives; or
                decoding is asked for that CTC has not.
        """
        if decoding != Decoding():
            raise InputError(
                "a CTC model writes in its own characters, the likeliest at every frame: leave "
                "--language, --task, --beams and --normaliser out"
            )
        labels, outputs = labels_of(processor.tokenizer), model.config.vocab_size
        if labels.highest >= outputs:
            raise InputError(
                f"the tokenizer's label {labels.highest} is none of the {outputs} that "
                "the head gives; put the tokenizer beside the checkpoint that it was trained with"
            )
        return cls(labels)

    def targets(self, text: str, utterance: str) -> tuple[int, ...]:
        return tuple(self.labels.encode(text, utterance))

    def is_doubtful(self, targets: Sequence[int], log_probability: float) -> bool:  # noqa: ARG002
        return False

    def misfit(self, targets: Sequence[int], frames: int, seconds: float) -> str | None:
        needed = max(1, least_frames(targets))
        if frames >= needed:
            return None
        wants = f"its transcript needs {needed}" if targets else "training needs one"
        mend = "correct the transcript or leave" if targets else "leave"
        return (
            f"lasts {seconds:.2f} s, which is {frames} frames, but {wants}; {mend} the utterance "
            "out"
        )

    def prepare(
        self,
        recogniser: "Recogniser",  # noqa: ARG002
        features: Features,
        targets: Targets | None,
    ) -> Features:
        return replace(features, targets=tuple(targets or ()))

    def at_positions(self, logits: Tensor, features: Features) -> Tensor:  # noqa: ARG002
        return logits

    def task_loss(self, logits: Tensor, features: Features) -> Tensor:
        return ctc_loss(logits, features.frames, features.targets, self.labels.blank)

    def texts(self, recogniser: "Recogniser", features: Features) -> list[str | None]:
        return greedy_texts(self.labels, without_padding(recogniser.logits(features), features))


def frame_labels(recogniser: "Recogniser") -> Labels:
    """What the outputs of a recogniser with a CTC head write.

    Raises:
        InputError: it has another head.
    """
    if not isinstance(recogniser.head, CtcHead):
        raise InputError(
            f"a {type(recogniser.model).__name__} has no distribution over labels at every frame, "
            "as CTC models have; this works with those alone"
        )
    return recogniser.head.labels


def greedy_texts(labels: Labels, logits: Sequence[np.ndarray]) -> list[str | None]:
    """Greedy transcripts; None where the logits are not finite.

    Args:
        logits: of each utterance, [frames, labels].
    """
    return [labels.greedy(rows) if np.isfinite(rows).all() else None for rows in logits]


def without_padding(logits: Tensor, features: Features) -> list[np.ndarray]:
    """Each utterance's logits, [frames, labels]."""
    rows = zip(logits.detach().cpu().numpy(), features.frames.tolist(), strict=True)
    return [each[:length] for each, length in rows]


def ctc_loss(logits: Tensor, frames: Tensor, labels: Sequence[Sequence[int]], blank: int) -> Tensor:
    """Connectionist temporal classification, nats a frame.

    Args:
        logits: [utterances, frames, labels].
        frames: [utterances], frames that are not padding.
        labels: each utterance's label ids.
    """
    targets = torch.tensor(
        [label for utterance in labels for label in utterance],
        dtype=torch.long,
        device=logits.device,
    )
    lengths = torch.tensor([len(utterance) for utterance in labels], device=logits.device)
    log_probabilities = logits.log_softmax(2).transpose(0, 1)
    total = F.ctc_loss(
        log_probabilities, targets, frames, lengths, blank, reduction="sum", zero_infinity=True
    )
    return total / frames.sum()
