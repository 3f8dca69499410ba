"""What a recogniser's outputs stand for: the axis beside the family.

A head says what the targets of an utterance are, at which positions the outputs stand, the task
loss, and how text is decoded. Search, training, post-training, packing and reports go through this
interface and never ask which head it is.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from sottovoce.models.features import Features, Targets
from sottovoce.speech.labels import Vocabulary

if TYPE_CHECKING:
    from sottovoce.models.recogniser import Recogniser


class Head(Protocol):
    """Targets, task loss, positions and decoding of a recogniser."""

    @property
    def labels(self) -> Vocabulary:
        """Transcripts <-> label ids."""
        ...

    @property
    def hears_whole_recordings(self) -> bool:
        """Whether `texts` takes waveforms of any length."""
        ...

    @property
    def teaches_itself(self) -> bool:
        """Whether training without transcripts needs the model's own transcripts as targets, and is
        what a compression does unless it is told otherwise."""
        ...

    @property
    def kept_labels(self) -> int | None:
        """Labels a position that a cached teacher keeps, the likeliest; None keeps all."""
        ...

    @property
    def sample_targets(self) -> tuple[int, ...]:
        """Some targets, whatever they say: outputs of two networks are compared with them."""
        ...

    def targets(self, text: str, utterance: str) -> tuple[int, ...]:
        """Label ids that an utterance is trained towards.

        Args:
            utterance: its id, for the message.

        Raises:
            InputError: the transcript cannot be written in these labels.
        """
        ...

    def is_doubtful(self, targets: Sequence[int], log_probability: float) -> bool:
        """Whether what a teacher wrote should teach nobody.

        Args:
            log_probability: mean over the targets, nats.
        """
        ...

    def misfit(self, targets: Sequence[int], frames: int, seconds: float) -> str | None:
        """Why an utterance cannot be trained on, as the end of a sentence; None where it can."""
        ...

    def prepare(
        self, recogniser: "Recogniser", features: Features, targets: Targets | None
    ) -> Features:
        """Features with all that the network needs beside them.

        Args:
            targets: of each utterance; None where there are none: a head whose outputs depend on
                targets takes what the recogniser says of its own accord.
        """
        ...

    def at_positions(self, logits: Tensor, features: Features) -> Tensor:
        """The network's outputs as [utterances, positions, labels]."""
        ...

    def task_loss(self, logits: Tensor, features: Features) -> Tensor:
        """Loss towards the features' targets, nats a position.

        Args:
            logits: [utterances, positions, labels].
        """
        ...

    def texts(self, recogniser: "Recogniser", features: Features) -> list[str | None]:
        """Transcripts; None where the model's outputs are not finite.

        Args:
            recogniser: in eval mode.
            features: as the front end makes them; `prepare` need not have seen them.
        """
        ...
