import importlib
import re
import warnings
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny import logits_of, noise
from transformers import Wav2Vec2Processor

from sottovoce.errors import InputError
from sottovoce.graph.interface import Interface
from sottovoce.models.families import wavlm
from sottovoce.models.recogniser import Recogniser

FRONT_ENDS = [
    ("wav2vec2", {"feat_extract_norm": "group"}),
    ("wav2vec2", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
    ("hubert", {"feat_extract_norm": "group"}),
    ("hubert", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
    ("hubert", {"conv_pos_batch_norm": True}),
    ("wavlm", {"feat_extract_norm": "group"}),
    ("wavlm", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
]
SECONDS = (0.06, 0.9, 0.31, 0.02)
MakeRecogniser = Callable[..., Recogniser]


@pytest.fixture
def waveforms() -> list[np.ndarray]:
    return [noise(seconds, seed) for seed, seconds in enumerate(SECONDS)]


@pytest.mark.parametrize(("family", "changes"), FRONT_ENDS)
def test_a_batch_gives_each_utterance_what_it_gets_alone(
    make_recogniser: MakeRecogniser,
    waveforms: list[np.ndarray],
    family: str,
    changes: dict[str, object],
) -> None:
    recogniser = make_recogniser(family, **changes)
    together = logits_of(recogniser, waveforms)
    for one, waveform in zip(together, waveforms, strict=True):
        torch.testing.assert_close(one, logits_of(recogniser, [waveform])[0], rtol=0, atol=1e-5)
    texts = recogniser.recognise(waveforms)
    assert texts == [recogniser.recognise([waveform])[0] for waveform in waveforms]
    assert len(set(texts)) > 1


def test_what_torch_warns_of_in_wavlm_is_not_shown(
    make_recogniser: MakeRecogniser, waveforms: list[np.ndarray]
) -> None:
    recogniser = make_recogniser("wavlm")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        recogniser.recognise(waveforms)
        assert {"mismatched key_padding_mask" in str(one.message) for one in told} == {True}
        told.clear()
        importlib.reload(wavlm)
        recogniser.recognise(waveforms)
    assert not told


def test_whatever_changes_what_is_computed_changes_the_fingerprint(
    make_recogniser: MakeRecogniser,
) -> None:
    name = make_recogniser().fingerprint()
    assert make_recogniser().fingerprint() == name
    others = [make_recogniser() for _ in range(3)]
    others[0].model.config.layer_norm_eps = 1e-3
    others[1].processor.feature_extractor.do_normalize ^= True
    with torch.no_grad():
        others[2].model.lm_head.bias[0] += 1
    assert len({name, *(one.fingerprint() for one in others)}) == 4
    elsewhere = make_recogniser()
    elsewhere.model.config._name_or_path = "elsewhere"
    assert elsewhere.fingerprint() == name


@pytest.mark.parametrize(("family", "changes"), FRONT_ENDS)
def test_one_utterance_gets_what_transformers_gives_it(
    make_recogniser: MakeRecogniser,
    waveforms: list[np.ndarray],
    family: str,
    changes: dict[str, object],
) -> None:
    recogniser = make_recogniser(family, **changes)
    inputs = recogniser.processor.feature_extractor(
        waveforms[1], sampling_rate=16000, return_tensors="pt"
    )
    with torch.inference_mode():
        theirs = recogniser.model(inputs.input_values).logits[0]
    torch.testing.assert_close(logits_of(recogniser, [waveforms[1]])[0], theirs, rtol=0, atol=1e-5)


def test_text_is_what_the_processor_decodes(
    make_recogniser: MakeRecogniser, waveforms: list[np.ndarray]
) -> None:
    recogniser = make_recogniser()
    processor: Wav2Vec2Processor = recogniser.processor
    best = [one.argmax(1) for one in logits_of(recogniser, waveforms)]
    theirs = [processor.decode(one) for one in best]
    spelled = [re.sub("<unk>|</?s>", "", text) for text in theirs]
    ours = recogniser.recognise(waveforms)
    assert [text.split() for text in ours] == [text.split() for text in spelled]


@pytest.mark.parametrize("samples", [1, 163, 164, 323, 324, 5000, 16000])
def test_frames_are_as_many_as_the_model_gives(
    make_recogniser: MakeRecogniser, samples: int
) -> None:
    recogniser = make_recogniser()
    assert recogniser.shortest == 164  # (10 - 1) * 16 + 20
    expected = recogniser.frames_of(samples)
    if samples < recogniser.shortest:
        assert expected == 0
    else:
        features = recogniser.features([noise(samples / 16000)])
        assert features.frames.tolist() == [expected]
        assert features.values.shape[2] == expected


def test_the_frame_mask_marks_what_is_not_padding(
    make_recogniser: MakeRecogniser, waveforms: list[np.ndarray]
) -> None:
    features = make_recogniser().features(waveforms)
    assert features.frame_mask.sum(1).tolist() == features.frames.tolist()
    for row in features.frame_mask.long().tolist():
        assert all(later <= earlier for earlier, later in pairwise(row))
    silent = features.values.transpose(1, 2)[~features.frame_mask]
    assert not bool(silent.any())


def test_the_front_end_is_back_after_an_exception(
    make_recogniser: MakeRecogniser,
    waveforms: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recogniser = make_recogniser()
    recogniser.model.train()
    front_end = recogniser.model.wav2vec2.feature_extractor

    def fail(*_: object, **__: object) -> None:
        assert recogniser.model.wav2vec2.feature_extractor is not front_end
        raise MemoryError

    monkeypatch.setattr(recogniser.model.wav2vec2.encoder, "forward", fail)
    with pytest.raises(MemoryError):
        recogniser.recognise(waveforms)
    assert recogniser.model.wav2vec2.feature_extractor is front_end
    assert recogniser.model.training


def test_recognising_leaves_dropout_out_and_the_mode_as_it_was(
    make_recogniser: MakeRecogniser, waveforms: list[np.ndarray]
) -> None:
    recogniser = make_recogniser(hidden_dropout=0.9, mask_time_prob=0.9)
    texts = recogniser.recognise(waveforms)
    recogniser.model.train()
    assert recogniser.recognise(waveforms) == texts
    assert recogniser.model.training


@pytest.mark.parametrize("trained", [False, True])
def test_the_front_end_gets_gradients_only_if_it_is_trained(
    make_recogniser: MakeRecogniser, waveforms: list[np.ndarray], trained: bool
) -> None:
    recogniser = make_recogniser()
    recogniser.model.train()
    front_end = recogniser.model.wav2vec2.feature_extractor
    front_end.requires_grad_(trained)
    recogniser.logits(recogniser.features(waveforms)).sum().backward()
    assert all((one.grad is not None) == trained for one in front_end.parameters())
    assert recogniser.model.lm_head.weight.grad is not None


def test_the_logits_of_each_come_without_padding(
    make_recogniser: MakeRecogniser, waveforms: list[np.ndarray]
) -> None:
    recogniser = make_recogniser()
    found = recogniser.frame_logits(waveforms)
    assert [len(one) for one in found] == [recogniser.frames_of(len(one)) for one in waveforms]
    for one, expected in zip(found, logits_of(recogniser, waveforms), strict=True):
        assert one.dtype == np.float32
        np.testing.assert_array_equal(one, expected.numpy())
    texts = [recogniser.labels.decode(one.argmax(1)) for one in found]
    assert texts == recogniser.recognise(waveforms)


def test_a_head_may_be_wider_than_the_tokenizer_but_not_narrower(
    make_recogniser: MakeRecogniser,
) -> None:
    """Special tokens above the head are no labels of CTC."""
    wide = make_recogniser("wav2vec2", vocab_size=12)
    assert wide.outputs == 12
    assert len(Interface.of(wide).written) == 12
    with pytest.raises(InputError, match=r"label 7 is none of the 6 that the head gives"):
        make_recogniser("wav2vec2", vocab_size=6)
