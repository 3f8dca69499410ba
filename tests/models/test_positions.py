"""Tables of positions do not outlive the precision or the mode that they were made in."""

from collections.abc import Callable

import pytest
import torch
from tiny import logits_of, noise

from sottovoce.models.recogniser import Recogniser

POSITIONS = [
    (family, {"position_embeddings_type": positions, "max_source_positions": longest})
    for family in ("wav2vec2-conformer", "wav2vec2-bert")
    for positions in ("relative", "rotary")
    for longest in (20, 5000)
]


@pytest.mark.parametrize(("family", "changes"), POSITIONS)
def test_a_batch_in_bfloat16_leaves_later_ones_as_they_were(
    make_recogniser: Callable[..., Recogniser], family: str, changes: dict[str, object]
) -> None:
    recogniser, waveform = make_recogniser(family, **changes), noise(0.6)
    (before,) = logits_of(recogniser, [waveform])
    with torch.autocast("cpu", torch.bfloat16):
        rounded = recogniser.logits(recogniser.features([waveform]))
    assert not torch.equal(rounded[0], before)
    assert torch.equal(logits_of(recogniser, [waveform])[0], before)


@pytest.mark.parametrize(("family", "changes"), POSITIONS)
def test_what_was_recognised_can_be_trained_on(
    make_recogniser: Callable[..., Recogniser], family: str, changes: dict[str, object]
) -> None:
    recogniser, waveform = make_recogniser(family, **changes), noise(0.6)
    recogniser.frame_logits([waveform])
    recogniser.logits(recogniser.features([waveform])).sum().backward()
    first = next(recogniser.backbone.get_submodule(recogniser.family.encoder.layers).parameters())
    assert first.grad is not None
