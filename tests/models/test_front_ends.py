"""Every family's front end: lengths, and batches that are what their utterances are alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tiny import logits_of, noise

from sottovoce.models.recogniser import Recogniser

MakeRecogniser = Callable[..., Recogniser]
SECONDS = (0.11, 0.9, 0.31, 0.05)
CONFORMERS: list[tuple[str, dict[str, Any]]] = [
    ("wav2vec2-conformer", {"feat_extract_norm": "group"}),
    ("wav2vec2-conformer", {"feat_extract_norm": "layer"}),
    ("wav2vec2-conformer", {"position_embeddings_type": "rotary"}),
    ("wav2vec2-bert", {"position_embeddings_type": "relative_key"}),
    ("wav2vec2-bert", {"position_embeddings_type": "relative"}),
    ("parakeet_ctc", {}),
    ("parakeet_ctc", {"subsampling_factor": 4}),
]
SHORTEST = {"wav2vec2-conformer": 164, "wav2vec2-bert": 560, "parakeet_ctc": 320}


@pytest.fixture
def waveforms() -> list[np.ndarray]:
    return [noise(seconds, seed) for seed, seconds in enumerate(SECONDS)]


@pytest.mark.parametrize(("family", "changes"), CONFORMERS)
def test_a_batch_gives_each_utterance_what_it_gets_alone(
    make_recogniser: MakeRecogniser,
    waveforms: list[np.ndarray],
    family: str,
    changes: dict[str, Any],
) -> None:
    recogniser = make_recogniser(family, **changes)
    together = logits_of(recogniser, waveforms)
    for one, waveform in zip(together, waveforms, strict=True):
        torch.testing.assert_close(one, logits_of(recogniser, [waveform])[0], rtol=0, atol=1e-5)
    assert len({one.argmax(1).sum().item() for one in together}) > 1


def test_an_extractor_that_returns_no_mask_by_itself_is_asked_for_one(
    make_recogniser: MakeRecogniser, waveforms: list[np.ndarray]
) -> None:
    recogniser = make_recogniser("wav2vec2-bert")
    expected = logits_of(recogniser, waveforms)
    recogniser.processor.feature_extractor.return_attention_mask = False
    for one, other in zip(logits_of(recogniser, waveforms), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_padding_would_be_heard_by_a_conformer_that_is_not_masked(
    make_recogniser: MakeRecogniser,
    waveforms: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recogniser = make_recogniser("wav2vec2-conformer")
    monkeypatch.setattr(type(recogniser.family), "depthwise", lambda *_: {})
    together, alone = logits_of(recogniser, waveforms)[0], logits_of(recogniser, waveforms[:1])[0]
    assert (together - alone).abs().max() > 1e-3


@pytest.mark.parametrize(("family", "changes"), CONFORMERS)
@pytest.mark.parametrize("samples", [8000, 8100, 8250])
def test_one_utterance_gets_what_transformers_gives_it(
    make_recogniser: MakeRecogniser, family: str, changes: dict[str, Any], samples: int
) -> None:
    recogniser, waveform = make_recogniser(family, **changes), noise(1.0)[:samples]
    extractor = recogniser.processor.feature_extractor
    inputs = extractor(
        waveform, sampling_rate=16000, return_tensors="pt", return_attention_mask=True
    )
    with torch.inference_mode():
        theirs = recogniser.model(**inputs).logits[0]
    ours = logits_of(recogniser, [waveform])[0]
    assert len(theirs) - len(ours) in (0, 1)  # a last frame may be padding alone
    torch.testing.assert_close(ours, theirs[: len(ours)], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("family", "changes"), CONFORMERS)
@pytest.mark.parametrize("more", [0, 1, 150, 161, 3000, 16000])
def test_frames_are_as_many_as_the_front_end_gives(
    make_recogniser: MakeRecogniser, family: str, changes: dict[str, Any], more: int
) -> None:
    recogniser = make_recogniser(family, **changes)
    assert recogniser.shortest == SHORTEST[family]
    assert recogniser.frames_of(recogniser.shortest - 1) == 0
    samples = recogniser.shortest + more
    (logits,) = logits_of(recogniser, [noise(2.0)[:samples]])
    assert len(logits) == recogniser.frames_of(samples) > 0
    assert logits.isfinite().all()


@pytest.mark.parametrize("family", sorted(SHORTEST))
@pytest.mark.parametrize("trained", [False, True])
def test_the_front_end_gets_gradients_only_if_it_is_trained(
    make_recogniser: MakeRecogniser, waveforms: list[np.ndarray], family: str, trained: bool
) -> None:
    recogniser = make_recogniser(family)
    recogniser.model.train()
    for parameter in recogniser.front_end_parameters:
        parameter.requires_grad = trained
    recogniser.logits(recogniser.features(waveforms)).sum().backward()
    assert all((one.grad is not None) == trained for one in recogniser.front_end_parameters)
    head = recogniser.model.get_submodule(recogniser.family.head)
    assert head.weight.grad is not None
